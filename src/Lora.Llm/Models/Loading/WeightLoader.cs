using Lora.Serialization;
using static TorchSharp.torch;

namespace Lora.Llm.Loading;

/// <summary>Finds the weights of a Hugging Face folder, and what type they are of.</summary>
internal static class WeightLoader
{
    private const string SingleFile = "model.safetensors";
    private const string IndexFile = "model.safetensors.index.json";

    /// <summary>Finds the weights of a folder: one file, or else the index of several.</summary>
    /// <exception cref="FileNotFoundException">There are none in safetensors form.</exception>
    internal static string Find(string folder)
    {
        foreach (string name in new[] { SingleFile, IndexFile })
        {
            string path = Path.Combine(folder, name);
            if (File.Exists(path)) return path;
        }
        bool pickled = Directory.EnumerateFiles(folder, "*.bin").Any();
        throw new FileNotFoundException(
            $"There is neither {SingleFile} nor {IndexFile} in '{folder}'" + (pickled ? "; its .bin files are pickled, which is not read: save it as safetensors first." : "."));
    }

    /// <summary>The type of most of the weights.</summary>
    internal static ScalarType TypeOf(SafetensorsSource source)
    {
        SafetensorsType type = source.Entries.GroupBy(entry => entry.Type).OrderByDescending(group => group.Count()).Select(group => group.Key).FirstOrDefault(SafetensorsType.F32);
        return type switch
        {
            SafetensorsType.BF16 => ScalarType.BFloat16,
            SafetensorsType.F16 => ScalarType.Float16,
            SafetensorsType.F64 => ScalarType.Float64,
            _ => ScalarType.Float32,
        };
    }
}
