using Lora.Serialization;
using static TorchSharp.torch;

namespace Lora.Conversion;

/// <summary>The two tensors of a layer in a file of mlx-lm.</summary>
/// <param name="Path">The layer's path.</param>
/// <param name="Down"><c>lora_a</c>, <c>[in, r]</c>.</param>
/// <param name="Up"><c>lora_b</c>, <c>[r, out]</c>.</param>
internal sealed record MlxPair(string Path, SafetensorsEntry Down, SafetensorsEntry Up)
{
    internal int Rank => (int)Down.Shape[1];

    /// <summary>Finds all pairs, and what is none.</summary>
    internal static IReadOnlyList<MlxPair> Of(SafetensorsFile file, out IReadOnlyList<string> problems)
    {
        var found = new List<string>();
        var pairs = new List<MlxPair>();
        var layers = file.Entries.Select(entry => (Entry: entry, Dot: entry.Name.LastIndexOf('.')))
            .GroupBy(item => item.Dot > 0 ? item.Entry.Name[..item.Dot] : "", item => (item.Entry, Leaf: item.Entry.Name[(item.Dot + 1)..]));
        foreach (var layer in layers)
        {
            SafetensorsEntry? down = layer.FirstOrDefault(item => item.Leaf == "lora_a").Entry, up = layer.FirstOrDefault(item => item.Leaf == "lora_b").Entry;
            found.AddRange(layer.Where(item => item.Leaf is not ("lora_a" or "lora_b")).Select(item => item.Leaf == "m"
                ? $"tensor {item.Entry.Name} holds magnitudes of DoRA, which are not converted"
                : $"unexpected tensor {item.Entry.Name}: lora_a and lora_b are all that a layer has in this form"));
            if (layer.Key.Length == 0) found.Add($"tensor {layer.First().Entry.Name} belongs to no layer");
            else if ((down is null) != (up is null)) found.Add($"'{layer.Key}' has {(down ?? up)!.Name} only: the other half of the pair is missing");
            else if (down is not null && Problem(layer.Key, down, up!) is string problem) found.Add(problem);
            else if (down is not null) pairs.Add(new MlxPair(layer.Key, down, up!));
        }
        if (file.Entries.Count == 0) found.Add("it holds no tensor");
        problems = found;
        return pairs;
    }

    /// <summary>The tensors by the keys of PEFT's file.</summary>
    internal IEnumerable<KeyValuePair<string, Tensor>> Tensors(SafetensorsFile file, bool isEmbedding) =>
    [
        new(AdapterFit.KeyOf(Path, isEmbedding ? "lora_embedding_A" : "lora_A.weight"), file.ReadTensor(Down.Name).t()),
        new(AdapterFit.KeyOf(Path, isEmbedding ? "lora_embedding_B" : "lora_B.weight"), file.ReadTensor(Up.Name).t()),
    ];

    private static string? Problem(string path, SafetensorsEntry down, SafetensorsEntry up)
    {
        if (down.Shape.Length == 3 && up.Shape.Length == 3) return $"'{path}' has a pair for each of {down.Shape[0]} experts, which is not converted";
        return down.Shape.Length == 2 && up.Shape.Length == 2 && down.Shape[1] == up.Shape[0] && down.Shape[1] > 0
            ? null
            : $"'{path}' has lora_a of the shape [{string.Join(", ", down.Shape)}] and lora_b of [{string.Join(", ", up.Shape)}], but [in, r] and [r, out] are needed";
    }
}
