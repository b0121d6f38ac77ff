using Lora.Serialization;
using Lora.Tests.Conversion;
using static TorchSharp.torch;

namespace Lora.Tests.Export;

/// <summary>Small folders of a model and of adapters, written tensor by tensor.</summary>
internal static class MergeFiles
{
    public const int Layers = 5;

    /// <summary>Numbers around 0 that follow from the seed, in float64.</summary>
    public static Tensor Numbers(int seed, params long[] shape) => arange(shape.Aggregate(1L, (product, size) => product * size), dtype: ScalarType.Float64).mul(0.37 + seed).sin().mul(0.4).view(shape);

    /// <summary>The name of a layer's tensor.</summary>
    public static string Name(int layer, string tensor) => $"model.layers.{layer}.{tensor}.weight";

    /// <summary>A model of ten tensors, in several files where asked for, with files beside them.</summary>
    public static Dictionary<string, Tensor> Model(string folder, ScalarType type = ScalarType.Float32, int files = 3, int seed = 1)
    {
        var tensors = new Dictionary<string, Tensor>();
        for (int layer = 0; layer < Layers; layer++)
        {
            tensors[Name(layer, "q_proj")] = Numbers(seed + layer, 7, 5).to(type);
            tensors[Name(layer, "norm")] = Numbers(seed + layer + 20, 5).to(type);
        }
        Save(folder, tensors, files);
        return tensors;
    }

    /// <summary>Writes a model's folder.</summary>
    public static void Save(string folder, Dictionary<string, Tensor> tensors, int files = 1, string config = """{"model_type":"llama"}""")
    {
        Directory.CreateDirectory(Path.Combine(folder, "more"));
        if (files == 1) SafetensorsWriter.Save(Path.Combine(folder, "model.safetensors"), tensors);
        else TwoModels.SaveSharded(folder, tensors, files);
        File.WriteAllText(Path.Combine(folder, "config.json"), config);
        File.WriteAllText(Path.Combine(folder, "more", "notes.txt"), "as it was");
    }

    /// <summary>Writes an adapter's folder: settings as JSON without braces, and tensors by their names behind PEFT's prefix.</summary>
    public static void Adapter(string folder, string settings, params (string Name, Tensor Values)[] tensors)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "adapter_config.json"), $$"""{"peft_type":"LORA","r":2,"lora_alpha":3,{{settings}}}""");
        SafetensorsWriter.Save(Path.Combine(folder, "adapter_model.safetensors"), tensors.Select(pair => KeyValuePair.Create($"base_model.model.{pair.Name}", pair.Values)));
    }

    /// <summary>An adapter of rank 2 for all layers of <see cref="Model"/>.</summary>
    public static void Adapter(string folder, int seed = 40, ScalarType type = ScalarType.Float32) => Adapter(folder, "\"target_modules\":[\"q_proj\"]",
        [.. Enumerable.Range(0, Layers).SelectMany(layer => Pair(Name(layer, "q_proj")[..^".weight".Length], seed + layer, 7, 5, type))]);

    /// <summary>A and B of rank 2.</summary>
    public static (string, Tensor)[] Pair(string path, int seed, long outputs, long inputs, ScalarType type = ScalarType.Float32) =>
        [($"{path}.lora_A.weight", Numbers(seed, 2, inputs).to(type)), ($"{path}.lora_B.weight", Numbers(seed + 60, outputs, 2).to(type))];

    /// <summary>All files of a folder with their bytes as text.</summary>
    public static SortedDictionary<string, string> Bytes(string folder) =>
        new(Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).ToDictionary(file => Path.GetRelativePath(folder, file), file => Convert.ToHexString(File.ReadAllBytes(file))), StringComparer.Ordinal);
}
