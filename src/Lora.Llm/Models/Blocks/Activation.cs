using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>The activations of feed-forward parts and convolutions, by the names of transformers.</summary>
internal static class Activation
{
    private static readonly Dictionary<string, Func<Tensor, Tensor>> _byName = new(StringComparer.Ordinal)
    {
        ["relu"] = x => nn.functional.relu(x),
        ["gelu"] = nn.functional.gelu,
        ["gelu_new"] = GeluByTanh,
        ["silu"] = x => nn.functional.silu(x),
    };

    /// <summary>The supported names, as a message lists them.</summary>
    internal static string Names => string.Join(", ", _byName.Keys.Select(name => $"\"{name}\""));

    internal static bool IsKnown(string name) => _byName.ContainsKey(name);

    /// <summary>The function of a known name.</summary>
    internal static Func<Tensor, Tensor> Of(string name) => _byName[name];

    // ½x(1 + tanh(√(2/π)(x + 0.044715x³))), Hendrycks and Gimpel 2016. TorchSharp has the form with the error function alone.
    private static Tensor GeluByTanh(Tensor x)
    {
        using var scope = NewDisposeScope();
        using Scalar half = 0.5, one = 1, cubic = 0.044715, root = Math.Sqrt(2 / Math.PI);
        return x.mul(half).mul(x.pow(3).mul(cubic).add(x).mul(root).tanh().add(one)).MoveToOuterDisposeScope();
    }
}
