using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>The activations that configurations name.</summary>
internal static class Activations
{
    private static readonly SortedDictionary<string, Func<Tensor, Tensor>> _byName = new(StringComparer.Ordinal)
    {
        ["gelu"] = x => nn.functional.gelu(x),
        ["gelu_new"] = GeluTanh,
        ["gelu_pytorch_tanh"] = GeluTanh,
        ["relu"] = x => nn.functional.relu(x),
        ["silu"] = x => nn.functional.silu(x),
        ["swish"] = x => nn.functional.silu(x),
        ["tanh"] = x => x.tanh(),
    };

    internal static IEnumerable<string> Names => _byName.Keys;

    internal static Func<Tensor, Tensor>? Find(string name) => _byName.GetValueOrDefault(name);

    /// <summary>How many tensors as large as its input an activation keeps for backward: its input or output, and where it is composed what lies between. An output may be what the next layer's adapter keeps too.</summary>
    internal static int Kept(string name) => Find(name) == GeluTanh ? 3 : 1;

    /// <summary>GELU by its tanh approximation, x/2 · (1 + tanh(√(2/π) · (x + 0.044715x³))) (Hendrycks and Gimpel 2016), in float32 at least.</summary>
    internal static Tensor GeluTanh(Tensor input)
    {
        using var scope = NewDisposeScope();
        double twice = 2 * Math.Sqrt(2 / Math.PI);
        // Held here: TorchSharp lets a number that was converted on the fly be collected while libtorch still reads it.
        using Scalar cubic = twice * 0.044715, linear = twice;
        Tensor x = input.dtype is ScalarType.Float16 or ScalarType.BFloat16 ? input.to(ScalarType.Float32) : input;
        // (1 + tanh u) / 2 is the sigmoid of 2u.
        return x.square().mul(cubic).add(linear).mul(x).sigmoid().mul(x).to(input.dtype).MoveToOuterDisposeScope();
    }
}
