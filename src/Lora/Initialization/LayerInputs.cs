using Lora.Injection;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Initialization;

/// <summary>Watches what goes into layers.</summary>
internal static class LayerInputs
{
    /// <summary>Calls back with each input of a layer; disposing the answer ends it.</summary>
    internal static IDisposable Watch(nn.Module<Tensor, Tensor> layer, Action<Tensor> callback) => new HookRemoval(layer.register_forward_pre_hook((_, input) =>
    {
        callback(input);
        return input;
    }).remove);

    /// <summary>Returns the rows of an input that count, <c>[n, in]</c>, in float32 at least; they belong to the current dispose scope.</summary>
    /// <exception cref="ArgumentException">The mask is of another shape.</exception>
    internal static Tensor Rows(string path, Tensor input, Tensor? mask)
    {
        Tensor rows = input.detach().reshape(-1, input.shape[^1]);
        if (mask is not null)
        {
            if (!mask.shape.AsSpan().SequenceEqual(input.shape.AsSpan(0, input.shape.Length - 1)))
            {
                throw new ArgumentException(
                    $"The mask of a calibration pass has the shape [{string.Join(", ", mask.shape)}], but the input of '{path}' has [{string.Join(", ", input.shape)}]: it must have the same without the last dimension.");
            }
            rows = rows[mask.to(rows.device).to(ScalarType.Bool).flatten()];
        }
        return rows.dtype == ScalarType.Float64 ? rows : rows.to(ScalarType.Float32);
    }
}
