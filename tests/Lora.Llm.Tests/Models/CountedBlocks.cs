using Lora.Llm.Blocks;
using Lora.Tests;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models;

/// <summary>Compares what a block is estimated to keep between forward and backward with what is counted.</summary>
internal static class CountedBlocks
{
    private const int Batch = 2, Length = 96, Width = 64;

    /// <param name="make">Makes a model in training of so many layers, 64 wide.</param>
    /// <param name="shape">The sizes of its layers.</param>
    /// <param name="first">The path of its first layer.</param>
    internal static void AssertNearEstimate<TModel>(Func<int, TModel> make, Func<TModel, BlockShape> shape, string first)
        where TModel : CausalLanguageModel
    {
        (long whole, long input) = (PerBlock(GradientCheckpointing.None), PerBlock(GradientCheckpointing.EveryBlock));
        using var scope = NewDisposeScope();
        using TModel model = make(1);
        (long estimatedWhole, long estimatedInput) = BlockActivations.BytesOf(shape(model), model.named_modules().First(module => module.name == first).module, zeros(Batch, Length, Width), Length);
        TestContext.Current.TestOutputHelper?.WriteLine($"whole {whole}, estimated {estimatedWhole}; input {input}, estimated {estimatedInput}");
        Assert.InRange(estimatedInput, input * 0.9, input * 1.1);
        Assert.InRange(estimatedWhole, whole * 0.8, whole * 1.2);

        long PerBlock(GradientCheckpointing choice) => (Forward(8, choice) - Forward(4, choice)) / 4;

        long Forward(int layers, GradientCheckpointing choice)
        {
            using TModel model = make(layers);
            model.GradientCheckpointing = choice;
            using Tensor ids = TinyLlama.Ids(Batch, Length);
            Tensor? logits = null;
            model.call(ids).Dispose();
            long peak = AllocatedMemory.PeakOf(() => logits = model.call(ids));
            logits!.Dispose();
            return peak;
        }
    }
}
