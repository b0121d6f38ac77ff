using System.Text.RegularExpressions;
using Lora.Injection;
using Lora.Parts;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Serialization.Formats;

/// <summary>loralib's checkpoint: two parameters right on each layer, and no settings.</summary>
internal sealed partial class LoraLibFormat(LoraConfig config) : AdapterFormat
{
    public override string ToString() => "loralib";

    /// <exception cref="ArgumentException">The configuration cannot be used.</exception>
    internal override SavedAdapter Open(string path, nn.Module model, WrapOptions options, KeyRenaming renaming)
    {
        config.Validate();
        return ForeignFile.Open(path, file => Understand(path, file, model, renaming));
    }

    internal override void Save(string path, AdapterToSave adapter) =>
        throw new NotSupportedException($"Adapters are read in the form of loralib, not written: save adapter '{adapter.Name}' in PEFT's form.");

    private SavedAdapter Understand(string path, SafetensorsFile file, nn.Module model, KeyRenaming renaming)
    {
        List<string> problems = [.. renaming.Unused([.. file.Entries.Select(entry => entry.Name)])];
        var convolutions = new Dictionary<string, LoraLibConvolution>(StringComparer.Ordinal);
        Dictionary<string, nn.Module> modules = ModuleWalker.Walk(model).ToDictionary(site => site.Path, site => site.Module, StringComparer.Ordinal);
        var tensors = new List<AdapterTensor>();
        foreach (SafetensorsEntry entry in file.Entries)
        {
            string name = renaming.Apply(entry.Name);
            Match match = Factor().Match(name);
            string layer = match.Groups["layer"].Value, factor = match.Groups["factor"].Value;
            if (!match.Success) tensors.Add(new AdapterTensor(file, entry, OtherKey(name, modules)));
            else if (modules.GetValueOrDefault(layer) is not (Conv1d or Conv2d or Conv3d)) tensors.Add(new AdapterTensor(file, entry, AdapterFit.KeyOf(layer, Tensor(modules.GetValueOrDefault(layer), factor))));
            else
            {
                if (!convolutions.TryGetValue(layer, out LoraLibConvolution? convolution)) convolutions.Add(layer, convolution = new LoraLibConvolution(layer, (Convolution)modules[layer], config));
                if (convolution.Problem(entry, factor) is string problem) problems.Add(problem);
                else tensors.Add(convolution.Converted(file, entry, factor));
            }
        }
        if (problems.Count > 0) throw new AdapterFormatException(path, problems.Distinct());
        return new SavedAdapter(path, LoraLibConvolution.With(config, convolutions.Values), file, tensors)
        {
            // A convolution of loralib slides as its base layer does.
            Metadata = new Dictionary<string, string> { [ConvolutionMark.Key] = ConvolutionMark.Value },
            Remarks = [.. convolutions.Values.Select(convolution => convolution.Remark).OfType<string>()],
            NameOf = key => PeftFactor().Replace(key[FileKeys.Prefix.Length..], ".lora_$1"),
        };
    }

    private static string Tensor(nn.Module? module, string factor) => module is Embedding ? $"lora_embedding_{factor}" : $"lora_{factor}.weight";

    // Biases may be there too; later versions hold a convolution in a child. What is neither is nobody's.
    private string OtherKey(string name, IReadOnlyDictionary<string, nn.Module> modules)
    {
        if (!name.EndsWith(".bias", StringComparison.Ordinal)) return name;
        string layer = name[..^".bias".Length];
        if (layer.EndsWith(".conv", StringComparison.Ordinal) && modules.GetValueOrDefault(layer[..^".conv".Length]) is Convolution) layer = layer[..^".conv".Length];
        return $"{FileKeys.Prefix}{layer}{(config.Selects(layer) ? ".base_layer" : "")}.bias";
    }

    [GeneratedRegex(@"^(?<layer>.+)\.lora_(?<factor>[AB])$", RegexOptions.CultureInvariant)]
    private static partial Regex Factor();

    [GeneratedRegex(@"\.lora_(?:embedding_)?([AB])(?:\.weight)?$", RegexOptions.CultureInvariant)]
    private static partial Regex PeftFactor();
}
