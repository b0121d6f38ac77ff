using System.Text.Json;

namespace Lora.Llm.Export;

/// <summary>Which of llama.cpp's tokenizers a <c>tokenizer.json</c> is.</summary>
/// <param name="Model">The name of its model (<c>tokenizer.ggml.model</c>): gpt2 for byte-level BPE, llama for SentencePiece's.</param>
/// <param name="PreTokenizer">The name of how it cuts a text into words (<c>tokenizer.ggml.pre</c>).</param>
internal sealed record GgufTokenizerKind(string Model, string PreTokenizer)
{
    private const string Contractions = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|";
    private const string Rest = @"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    private const string Tekken = @"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private static readonly Dictionary<string, string> _patterns = new(StringComparer.Ordinal)
    {
        [Contractions + @"\p{N}{1,3}" + Rest] = "llama-bpe",
        [Contractions + @"\p{N}" + Rest] = "qwen2",
        [Tekken] = "tekken",
    };

    /// <summary>Whether tokens have scores instead of a list of merges.</summary>
    internal bool HasScores => Model == "llama";

    /// <summary>Whether a blank is put before a text; null where the kind does not say.</summary>
    internal bool? AddsSpacePrefix { get; init; }

    /// <summary>What a reader should know although it prevents nothing.</summary>
    internal IReadOnlyList<string> Remarks { get; init; } = [];

    internal static GgufTokenizerKind Of(JsonElement root, List<string> problems)
    {
        JsonElement model = root.GetProperty("model");
        string type = model.TryGetProperty("type", out JsonElement name) ? name.GetString() ?? "" : "BPE";
        if (type != "BPE")
        {
            problems.Add($"model.type is \"{type}\", but llama.cpp's models of these families have \"BPE\".");
            return new GgufTokenizerKind("", "");
        }
        JsonElement[] cutters = Parts(root, "pre_tokenizer", "pretokenizers"), normalizers = Parts(root, "normalizer", "normalizers");
        if (cutters.Any(part => TypeOf(part) == "ByteLevel")) return ByteLevel(cutters, normalizers, problems);
        if (model.TryGetProperty("byte_fallback", out JsonElement bytes) && bytes.ValueKind == JsonValueKind.True) return SentencePiece(cutters, normalizers, problems);
        problems.Add("it is neither byte-level BPE nor SentencePiece's BPE with byte_fallback, which are what llama.cpp has.");
        return new GgufTokenizerKind("", "");
    }

    private static GgufTokenizerKind ByteLevel(JsonElement[] cutters, JsonElement[] normalizers, List<string> problems)
    {
        var remarks = new List<string>();
        foreach (string type in normalizers.Select(TypeOf))
        {
            if (type == "NFC") remarks.Add("the tokenizer composes characters (NFC), which llama.cpp does not: texts that are not composed get other tokens");
            else problems.Add($"normalizer \"{type}\" is one that llama.cpp's byte-level BPE does not have.");
        }
        string[] patterns = [.. cutters.Where(part => TypeOf(part) == "Split").Select(PatternOf)];
        string[] kinds = [.. cutters.Select(TypeOf)];
        JsonElement last = cutters[^1];
        string? pre = kinds switch
        {
            ["ByteLevel"] when Says(last, "use_regex", true) && !Says(last, "add_prefix_space", true) => "gpt-2",
            ["Digits", "ByteLevel"] when Says(cutters[0], "individual_digits", false) && Says(last, "use_regex", true) && !Says(last, "add_prefix_space", true) => "smollm",
            ["Split", "ByteLevel"] when !Says(last, "use_regex", true) && !Says(last, "add_prefix_space", true) => _patterns.GetValueOrDefault(patterns[0]),
            _ => null,
        };
        if (pre is null) problems.Add($"its pre_tokenizer ({string.Join(", ", kinds)}) is none of those that llama.cpp knows and that are known here: gpt-2, llama-bpe, qwen2, smollm and tekken.");
        return new GgufTokenizerKind("gpt2", pre ?? "") { Remarks = remarks };
    }

    private static GgufTokenizerKind SentencePiece(JsonElement[] cutters, JsonElement[] normalizers, List<string> problems)
    {
        string[] kinds = [.. normalizers.Select(TypeOf).Concat(cutters.Select(TypeOf))];
        string? scheme = kinds is ["Metaspace"] ? SchemeOf(cutters.Concat(normalizers).First()) : null;
        bool? adds = kinds switch
        {
            ["Prepend", "Replace"] => true,
            ["Replace"] => false,
            ["Metaspace"] => scheme != "never",
            _ => null,
        };
        if (adds is null) problems.Add($"its normalizer and pre_tokenizer ({string.Join(", ", kinds)}) are not those of SentencePiece, which write blanks as ▁ alone.");
        string[] remarks = scheme == "first" ? ["a blank is put before the whole text alone (prepend_scheme \"first\"), but llama.cpp puts one behind special tokens too"] : [];
        return new GgufTokenizerKind("llama", "default") { AddsSpacePrefix = adds, Remarks = remarks };
    }

    private static JsonElement[] Parts(JsonElement root, string name, string items)
    {
        if (!root.TryGetProperty(name, out JsonElement part) || part.ValueKind != JsonValueKind.Object) return [];
        return TypeOf(part) == "Sequence" ? [.. part.GetProperty(items).EnumerateArray()] : [part];
    }

    private static string TypeOf(JsonElement part) => part.GetProperty("type").GetString()!;

    private static string SchemeOf(JsonElement part) =>
        part.TryGetProperty("prepend_scheme", out JsonElement scheme) ? scheme.GetString()! : Says(part, "add_prefix_space", true) ? "always" : "never";

    private static string PatternOf(JsonElement part) => part.GetProperty("pattern").TryGetProperty("Regex", out JsonElement pattern) ? pattern.GetString()! : "";

    private static bool Says(JsonElement part, string name, bool absent) => part.TryGetProperty(name, out JsonElement value) ? value.ValueKind == JsonValueKind.True : absent;
}
