using Lora.Export.Gguf;

namespace Lora.Llm.Export;

/// <summary>GPT-2.</summary>
internal sealed class GgufGpt2Family : GgufFamily
{
    // llama.cpp's GELU is the one by tanh.
    private static readonly string[] _activations = ["gelu_new", "gelu_pytorch_tanh"];
    private readonly Gpt2Config _config;

    internal GgufGpt2Family(Gpt2Config config)
    {
        _config = config;
        Places = PlacesOf(config);
    }

    internal override string Architecture => "gpt2";

    internal override IReadOnlyDictionary<string, GgufPlace> Places { get; }

    internal override string Prefix => "transformer.";

    internal override int VocabularySize => _config.VocabularySize;

    internal override int? BeginTokenId => _config.BeginTokenId;

    internal override IReadOnlyList<int> EndTokenIds => _config.EndTokenIds;

    internal override int? PadTokenId => null;

    internal override bool IsTied => _config.TieEmbeddings;

    internal override IEnumerable<string> Problems
    {
        get
        {
            if (!_activations.Contains(_config.Activation)) yield return $"activation_function is \"{_config.Activation}\", but llama.cpp's gpt2 has \"gelu_new\".";
            if (!_config.ScaleAttentionWeights) yield return "scale_attn_weights is false, but llama.cpp's gpt2 divides scores by the root of a head's width.";
            if (_config.ScaleAttentionByInverseLayer) yield return "scale_attn_by_inverse_layer_idx is true, but llama.cpp's gpt2 does not divide scores by the number of the layer.";
        }
    }

    internal override void AddMetadata(GgufWriter writer)
    {
        writer.Add("gpt2.block_count", (uint)_config.Layers);
        writer.Add("gpt2.context_length", (uint)_config.MaxPositions);
        writer.Add("gpt2.embedding_length", (uint)_config.HiddenSize);
        writer.Add("gpt2.feed_forward_length", (uint)_config.InnerSize);
        writer.Add("gpt2.attention.head_count", (uint)_config.Heads);
        writer.Add("gpt2.attention.layer_norm_epsilon", (float)_config.NormEpsilon);
        writer.Add("gpt2.vocab_size", (uint)_config.VocabularySize);
    }

    // The mask and the number that stands for its zeros.
    internal override bool IsOldTable(string name) => name.EndsWith(".attn.bias", StringComparison.Ordinal) || name.EndsWith(".attn.masked_bias", StringComparison.Ordinal);

    private static Dictionary<string, GgufPlace> PlacesOf(Gpt2Config config)
    {
        int hidden = config.HiddenSize, inner = config.InnerSize;
        var places = new Dictionary<string, GgufPlace>(StringComparer.Ordinal)
        {
            ["wte"] = new("token_embd", config.VocabularySize, hidden) { IsTable = true },
            ["wpe"] = new("position_embd", config.MaxPositions, hidden) { IsTable = true, StaysWide = true },
            ["ln_f"] = new("output_norm", hidden) { HasBias = true, StaysWide = true },
            ["lm_head"] = new("output", config.VocabularySize, hidden),
        };
        for (int layer = 0; layer < config.Layers; layer++)
        {
            string from = $"h.{layer}.", to = $"blk.{layer}.";
            places[$"{from}ln_1"] = new($"{to}attn_norm", hidden) { HasBias = true, StaysWide = true };
            places[$"{from}attn.c_attn"] = new($"{to}attn_qkv", 3 * hidden, hidden) { HasBias = true, IsTransposed = true };
            places[$"{from}attn.c_proj"] = new($"{to}attn_output", hidden, hidden) { HasBias = true, IsTransposed = true };
            places[$"{from}ln_2"] = new($"{to}ffn_norm", hidden) { HasBias = true, StaysWide = true };
            places[$"{from}mlp.c_fc"] = new($"{to}ffn_up", inner, hidden) { HasBias = true, IsTransposed = true };
            places[$"{from}mlp.c_proj"] = new($"{to}ffn_down", hidden, inner) { HasBias = true, IsTransposed = true };
        }
        return places;
    }
}
