using Lora.Tests;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models;

/// <summary>A Llama of odd, different sizes with weights large enough to matter.</summary>
internal static class TinyLlama
{
    public static LlamaConfig Config { get; } = new()
    {
        VocabularySize = 37,
        HiddenSize = 20,
        IntermediateSize = 27,
        Layers = 2,
        Heads = 6,
        KeyValueHeads = 2,
        HeadDimension = 4,
        MaxPositions = 64,
        NormEpsilon = 1e-5,
        RopeTheta = 500,
    };

    /// <summary>A model whose weights, biases and norms are all drawn at random.</summary>
    public static LlamaModel Make(LlamaConfig? config = null, ScalarType dataType = ScalarType.Float32, long seed = 7) =>
        Filled(new LlamaModel(config ?? Config, dataType, TestDevice.Current), seed);

    /// <summary>Draws the weights, biases and norms of a model of any family.</summary>
    public static T Filled<T>(T model, long seed = 7)
        where T : nn.Module
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        // Not torch's global numbers, which tests that run at the same time draw from too.
        using var generator = new Generator((ulong)seed);
        foreach ((string name, var parameter) in model.named_parameters())
            parameter.copy_(randn(parameter.shape, generator: generator).mul(0.25).add(name.Contains("norm", StringComparison.Ordinal) ? 1 : 0));
        model.eval();
        return model;
    }

    /// <summary>Random token ids.</summary>
    public static Tensor Ids(int batch, int length, long seed = 3)
    {
        using var generator = new Generator((ulong)seed);
        return randint(1, Config.VocabularySize, [batch, length], dtype: ScalarType.Int64, generator: generator).to(TestDevice.Current);
    }

    /// <summary>The elements as float64, in order.</summary>
    public static double[] Values(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        return tensor.detach().to(ScalarType.Float64).cpu().contiguous().data<double>().ToArray();
    }
}
