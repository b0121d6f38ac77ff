using Lora.Export.Gguf;
using Lora.Llm.Blocks;
using Lora.Llm.Loading;

namespace Lora.Llm.Export;

/// <summary>Llama, Mistral (both are llama.cpp's llama), Qwen2 and Qwen3.</summary>
internal sealed class GgufDecoderFamily : GgufFamily
{
    private readonly DecoderConfig _config;

    internal GgufDecoderFamily(DecoderConfig config, string architecture)
    {
        _config = config;
        Architecture = architecture;
        Places = PlacesOf(config, permutes: architecture == "llama");
    }

    internal override string Architecture { get; }

    internal override IReadOnlyDictionary<string, GgufPlace> Places { get; }

    internal override string Prefix => "model.";

    internal override int VocabularySize => _config.VocabularySize;

    internal override int? BeginTokenId => _config.BeginTokenId;

    internal override IReadOnlyList<int> EndTokenIds => _config.EndTokenIds;

    internal override int? PadTokenId => _config.PadTokenId;

    internal override bool IsTied => _config.TieEmbeddings;

    internal override IEnumerable<string> Problems
    {
        get
        {
            if (Architecture == "qwen3" && _config.InputBias) yield return "attention_bias is true, but llama.cpp's qwen3 has no biases.";
            if (Architecture != "llama" && _config.Rope is Llama3Rope) yield return $"rope_type is \"llama3\", but llama.cpp's {Architecture} has no factors of frequencies.";
        }
    }

    internal override IEnumerable<string> Remarks
    {
        get
        {
            int[] windows = [.. Enumerable.Range(0, _config.Layers).Select(layer => _config.ReachOf(layer).Window ?? 0).Where(window => window > 0).Distinct()];
            if (windows.Length > 0) yield return $"some layers look at {windows.Min()} tokens alone (sliding_window), which llama.cpp's {Architecture} does not: longer texts get other logits.";
        }
    }

    /// <summary>What each pair's frequency is divided by, where that differs from pair to pair.</summary>
    internal override IEnumerable<(string Name, float[] Values)> Extras
    {
        get
        {
            if (_config.Rope is not Llama3Rope rope) yield break;
            double[] scaled = rope.Frequencies(_config.HeadDimension), usual = new DefaultRope(rope.Theta).Frequencies(_config.HeadDimension);
            yield return ("rope_freqs.weight", [.. usual.Zip(scaled, (before, after) => (float)(before / after))]);
        }
    }

    internal override void AddMetadata(GgufWriter writer)
    {
        string name = Architecture;
        writer.Add($"{name}.block_count", (uint)_config.Layers);
        writer.Add($"{name}.context_length", (uint)_config.MaxPositions);
        writer.Add($"{name}.embedding_length", (uint)_config.HiddenSize);
        writer.Add($"{name}.feed_forward_length", (uint)_config.IntermediateSize);
        writer.Add($"{name}.attention.head_count", (uint)_config.Heads);
        writer.Add($"{name}.attention.head_count_kv", (uint)_config.KeyValueHeads);
        writer.Add($"{name}.attention.key_length", (uint)_config.HeadDimension);
        writer.Add($"{name}.attention.value_length", (uint)_config.HeadDimension);
        writer.Add($"{name}.attention.layer_norm_rms_epsilon", (float)_config.NormEpsilon);
        writer.Add($"{name}.rope.dimension_count", (uint)_config.HeadDimension);
        writer.Add($"{name}.rope.freq_base", (float)_config.RopeTheta);
        if (_config.Rope is LinearRope linear)
        {
            writer.Add($"{name}.rope.scaling.type", "linear");
            writer.Add($"{name}.rope.scaling.factor", (float)linear.Factor);
        }
        writer.Add($"{name}.vocab_size", (uint)_config.VocabularySize);
    }

    internal override bool IsOldTable(string name) => DecoderLoader.IsTable(name);

    private static Dictionary<string, GgufPlace> PlacesOf(DecoderConfig config, bool permutes)
    {
        int hidden = config.HiddenSize, inner = config.IntermediateSize, queries = config.Heads * config.HeadDimension, keys = config.KeyValueHeads * config.HeadDimension;
        var places = new Dictionary<string, GgufPlace>(StringComparer.Ordinal)
        {
            ["embed_tokens"] = new("token_embd", config.VocabularySize, hidden) { IsTable = true },
            ["norm"] = new("output_norm", hidden) { StaysWide = true },
            ["lm_head"] = new("output", config.VocabularySize, hidden),
        };
        for (int layer = 0; layer < config.Layers; layer++)
        {
            string from = $"layers.{layer}.", to = $"blk.{layer}.";
            places[$"{from}input_layernorm"] = new($"{to}attn_norm", hidden) { StaysWide = true };
            places[$"{from}self_attn.q_proj"] = new($"{to}attn_q", queries, hidden) { HasBias = config.InputBias, Heads = permutes ? config.Heads : 0 };
            places[$"{from}self_attn.k_proj"] = new($"{to}attn_k", keys, hidden) { HasBias = config.InputBias, Heads = permutes ? config.KeyValueHeads : 0 };
            places[$"{from}self_attn.v_proj"] = new($"{to}attn_v", keys, hidden) { HasBias = config.InputBias };
            places[$"{from}self_attn.o_proj"] = new($"{to}attn_output", hidden, queries) { HasBias = config.OutputBias };
            if (config.NormalizesHeads)
            {
                places[$"{from}self_attn.q_norm"] = new($"{to}attn_q_norm", config.HeadDimension) { StaysWide = true };
                places[$"{from}self_attn.k_norm"] = new($"{to}attn_k_norm", config.HeadDimension) { StaysWide = true };
            }
            places[$"{from}post_attention_layernorm"] = new($"{to}ffn_norm", hidden) { StaysWide = true };
            places[$"{from}mlp.gate_proj"] = new($"{to}ffn_gate", inner, hidden) { HasBias = config.FeedForwardBias };
            places[$"{from}mlp.up_proj"] = new($"{to}ffn_up", inner, hidden) { HasBias = config.FeedForwardBias };
            places[$"{from}mlp.down_proj"] = new($"{to}ffn_down", hidden, inner) { HasBias = config.FeedForwardBias };
        }
        return places;
    }
}
