using System.Text.RegularExpressions;

namespace Lora.Serialization.Formats;

/// <summary>A key of a diffusers file, without the model's prefix: which layer's it is, by one of several names, and what of its pair.</summary>
/// <param name="Paths">Where the layer may be; the first that the model has counts.</param>
/// <param name="Kind">What the tensor is.</param>
internal sealed partial record DiffusersKey(IReadOnlyList<string> Paths, PairTensor Kind)
{
    // The older dialect names the projections of an attention as its class of the time did, whatever the model calls them.
    private static readonly Dictionary<string, string[]> _projections = new()
    {
        ["to_q"] = ["to_q", "q_proj"],
        ["to_k"] = ["to_k", "k_proj"],
        ["to_v"] = ["to_v", "v_proj"],
        ["to_out"] = ["to_out.0", "out_proj", "to_out"],
    };

    /// <summary>Reads a key; null where it is none of a pair.</summary>
    internal static DiffusersKey? Parse(string key)
    {
        Match match = Pattern().Match(key);
        if (!match.Success) return null;
        string layer = match.Groups["layer"].Value;
        string[] paths = match.Groups["projection"] is { Success: true, Value: string projection } ? [.. _projections[projection].Select(name => layer + name)] : [layer];
        // An attention was adapted by its processor, which is no module any more.
        return new DiffusersKey([.. paths, .. paths.Where(path => path.Contains(".processor.", StringComparison.Ordinal)).Select(path => path.Replace(".processor.", ".", StringComparison.Ordinal))], match.Groups["tensor"].Value switch
        {
            "lora_A.weight" or "down.weight" => PairTensor.Down,
            "lora_B.weight" or "up.weight" => PairTensor.Up,
            "lora_B.bias" => PairTensor.Bias,
            _ => PairTensor.Alpha,
        });
    }

    [GeneratedRegex(
        @"^(?:(?<layer>(?:.+\.)?)(?<projection>to_[qkv]|to_out)_lora\.(?<tensor>(?:down|up)\.weight|alpha)|(?<layer>.+)\.(?:lora|lora_linear_layer)\.(?<tensor>(?:down|up)\.weight)|(?<layer>.+)\.(?<tensor>lora_[AB]\.weight|lora_B\.bias|alpha))$",
        RegexOptions.CultureInvariant)]
    private static partial Regex Pattern();
}
