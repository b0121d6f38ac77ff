using Lora.Tests.Models;
using static TorchSharp.torch;

namespace Lora.Tests.Parts;

/// <summary>Nothing that is done again and again with what an adapter has beside its layers keeps tensors alive.</summary>
[Collection(Alone.Name)]
public sealed class PartLeakTests
{
    [Theory]
    [MemberData(nameof(PartTests.Kinds), MemberType = typeof(PartTests))]
    public void Wrapping_switching_merging_saving_and_unloading(string kind)
    {
        using var folder = new TemporaryFolder();
        (TinyText model, LoraConfig config) = PartTests.Make(kind);
        using Tensor tokens = TinyText.Tokens();
        Leaks.AssertNone(20, () => LoraModel.Wrap(model, config).Unload());
        Leaks.AssertNone(20, () => LoraModel.Wrap(model, config).MergeAndUnload());
        Leaks.AssertNone(20, () => LoraModel.Explain(model, config));
        using (LoraModel<TinyText> lora = PartAdapters.Wrap(model, config))
        {
            lora.Save(folder.Path);
            Leaks.AssertNone(20, () =>
            {
                using (lora.Disable()) model.call(tokens).Dispose();
                using (NewDisposeScope()) model.call(tokens).square().mean().backward();
                _ = lora.TrainableParameters();
                _ = lora.ParameterCounts;
                lora.Merge();
                lora.Unmerge();
            });
        }
        Leaks.AssertNone(20, () => LoraModel.Load(model, folder.Path).Dispose());
        model.Dispose();
    }

    [Theory]
    [MemberData(nameof(PartTests.Kinds), MemberType = typeof(PartTests))]
    public void A_model_that_was_disposed_first(string kind) => Leaks.AssertNone(10, () =>
    {
        (TinyText model, LoraConfig config) = PartTests.Make(kind);
        LoraModel<TinyText> lora = LoraModel.Wrap(model, config);
        model.Dispose();
        lora.Dispose();
    });
}
