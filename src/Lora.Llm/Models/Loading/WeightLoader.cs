using Lora.Llm.Blocks;
using Lora.Serialization;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Llm.Loading;

/// <summary>Copies the weights of a Hugging Face folder into a model.</summary>
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

    /// <summary>Fills every parameter of the model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="source">The opened file or files.</param>
    /// <param name="rules">How their tensors become its parameters.</param>
    /// <exception cref="AdapterFormatException">Tensors are missing, unexpected, misshapen or of a type that weights do not have; all are listed.</exception>
    internal static void Load(nn.Module model, SafetensorsSource source, TensorRules rules)
    {
        using var scope = NewDisposeScope();
        Dictionary<string, Parameter> parameters = model.named_parameters().ToDictionary(p => p.name, p => p.parameter, StringComparer.Ordinal);
        var found = new Dictionary<string, string>(StringComparer.Ordinal);
        var problems = new List<string>();
        foreach (SafetensorsEntry entry in source.Entries)
        {
            string name = rules.Rename(entry.Name);
            if (rules.Fresh(name)) continue;
            if (!parameters.TryGetValue(name, out Parameter? parameter))
            {
                if (!rules.Ignored(name)) problems.Add($"unexpected tensor {entry.Name}, shape {Text(entry.Shape)}");
            }
            else if (!found.TryAdd(name, entry.Name))
            {
                problems.Add($"tensors {found[name]} and {entry.Name} are both {name}");
            }
            else if (!entry.Shape.SequenceEqual(parameter.shape))
            {
                problems.Add($"tensor {entry.Name} has the shape {Text(entry.Shape)}, but the configuration gives {Text(parameter.shape)}");
            }
            else if (entry.Type is not (SafetensorsType.F16 or SafetensorsType.BF16 or SafetensorsType.F32 or SafetensorsType.F64))
            {
                problems.Add($"tensor {entry.Name} has the type {entry.Type.ToFileName()}, but weights are F16, BF16, F32 or F64");
            }
        }
        string[] missing = [.. parameters.Keys.Where(name => !found.ContainsKey(name) && !rules.Fresh(name) && !rules.Optional(name))];
        problems.AddRange(missing.Select(name => $"missing tensor {name}, shape {Text(parameters[name].shape)}"));
        if (rules.Hint(missing) is string hint) problems.Add(hint);
        if (problems.Count > 0) throw new AdapterFormatException(source.Path, problems);

        using var noGrad = no_grad();
        foreach ((string name, Parameter parameter) in parameters)
        {
            if (found.TryGetValue(name, out string? entry)) source.CopyTo(entry, parameter);
            else FreshWeights.Fill(name, parameter, rules.InitializerRange);
        }
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

    private static string Text(IEnumerable<long> shape) => $"[{string.Join(", ", shape)}]";
}
