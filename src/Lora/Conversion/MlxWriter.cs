using System.Text;
using System.Text.Json;
using Lora.Serialization;
using Lora.Targeting;
using static TorchSharp.torch;

namespace Lora.Conversion;

/// <summary>Writes an adapter in the form of mlx-lm.</summary>
internal static class MlxWriter
{
    private static readonly JsonSerializerOptions _json = new() { WriteIndented = true, NewLine = "\n" };

    /// <summary>Why the form has no place for a tensor; null where it has.</summary>
    internal static string? Obstacle(FilePair tensor)
    {
        if (!tensor.IsFactor) return $"{tensor.Entry.Name} is no factor of a layer, and there is no place for it";
        if (tensor.Kind is "lora_B.bias" or "lora_magnitude_vector") return $"{tensor.Entry.Name} is neither A nor B, and there is no place for it";
        if (tensor.IsNested) return $"{tensor.Entry.Name} belongs to a weight inside another layer, and there is no place for it";
        return tensor.Entry.Shape.Length == 2 ? null : $"{tensor.Entry.Name} has the shape [{string.Join(", ", tensor.Entry.Shape)}], and there is a place for matrices only";
    }

    internal static void Write(string path, AdapterFolder folder, IReadOnlyList<FilePair> tensors)
    {
        long rank = tensors.Where(tensor => tensor.IsDown).Max(tensor => tensor.Entry.Shape[0]);
        double[] scales = [.. tensors.Where(tensor => tensor.IsDown).Select(tensor => AdapterScaling.ScaleOf(folder.Config, tensor.Path)).Distinct()];
        // One scale is all that there is a place for.
        double scale = scales.Length == 1 ? scales[0] : 1;
        SafetensorsLayout layout = SafetensorsLayout.Of(tensors.Select(tensor => KeyValuePair.Create($"{tensor.Path}.{(tensor.IsDown ? "lora_a" : "lora_b")}", Turned(folder, tensor, rank, scale))));
        byte[] config = Encoding.UTF8.GetBytes(JsonSerializer.Serialize(
            new { fine_tune_type = "lora", lora_parameters = new { dropout = folder.Config.Dropout, keys = KeysOf(tensors), rank, scale }, num_layers = -1 }, _json));
        Directory.CreateDirectory(path);
        AtomicFile.WriteAll(
            (Path.Combine(path, MlxFolder.ConfigName), stream => stream.Write(config)),
            (Path.Combine(path, MlxFolder.WeightsName), stream => SafetensorsWriter.Write(stream, layout, new Dictionary<string, string> { ["format"] = "mlx" })));
    }

    // Further rows and columns of zeros change nothing.
    private static Tensor Turned(AdapterFolder folder, FilePair tensor, long rank, double scale)
    {
        Tensor turned = folder.Weights.ReadTensor(tensor.Entry.Name).t();
        if (tensor.IsUp) turned = AdapterScaling.Scaled(turned, AdapterScaling.ScaleOf(folder.Config, tensor.Path) / scale);
        int dimension = tensor.IsDown ? 1 : 0;
        long missing = rank - turned.shape[dimension];
        if (missing == 0) return turned;
        long[] shape = tensor.IsDown ? [turned.shape[0], missing] : [missing, turned.shape[1]];
        return cat([turned, turned.new_zeros(shape)], dimension);
    }

    // What a layer is called within its block; in full where it is in none.
    private static string[] KeysOf(IReadOnlyList<FilePair> tensors) => [.. tensors.Select(tensor => BlockPath.Of(tensor.Path).Kind).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
}
