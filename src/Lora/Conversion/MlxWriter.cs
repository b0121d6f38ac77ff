using System.Text;
using System.Text.Json;
using Lora.Serialization;
using Lora.Targeting;
using static TorchSharp.torch;

namespace Lora.Conversion;

/// <summary>Writes an adapter in the form of mlx-lm, which has one rank and one scale for all layers.</summary>
internal static class MlxWriter
{
    private static readonly JsonSerializerOptions _json = new() { WriteIndented = true, NewLine = "\n" };

    internal static void Write(string path, IReadOnlyList<MlxLayer> layers, double dropout)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        long rank = layers.Max(layer => layer.A.shape[0]);
        double[] scales = [.. layers.Select(layer => layer.Scale).Distinct()];
        double scale = scales.Length == 1 ? scales[0] : 1;
        SafetensorsLayout layout = SafetensorsLayout.Of(layers.SelectMany(layer => Tensors(layer, rank, layer.Scale / scale)));
        byte[] config = Encoding.UTF8.GetBytes(JsonSerializer.Serialize(new { fine_tune_type = "lora", lora_parameters = new { dropout, keys = KeysOf(layers), rank, scale }, num_layers = -1 }, _json));
        NewFolder.Write(path, () => AtomicFile.WriteAll(
            (Path.Combine(path, MlxFolder.ConfigName), stream => stream.Write(config)),
            (Path.Combine(path, MlxFolder.WeightsName), stream => SafetensorsWriter.Write(stream, layout, new Dictionary<string, string> { ["format"] = "mlx" }))));
    }

    // Further columns and rows of zeros change nothing.
    private static IEnumerable<KeyValuePair<string, Tensor>> Tensors(MlxLayer layer, long rank, double factor)
    {
        Tensor a = layer.A.t(), b = AdapterScaling.Scaled(layer.B.t(), factor);
        long missing = rank - a.shape[1];
        yield return new($"{layer.Path}.lora_a", missing == 0 ? a : cat([a, a.new_zeros(a.shape[0], missing)], 1));
        yield return new($"{layer.Path}.lora_b", missing == 0 ? b : cat([b, b.new_zeros(missing, b.shape[1])], 0));
    }

    // What a layer is called within its block; in full where it is in none.
    private static string[] KeysOf(IReadOnlyList<MlxLayer> layers) => [.. layers.Select(layer => BlockPath.Of(layer.Path).Kind).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
}
