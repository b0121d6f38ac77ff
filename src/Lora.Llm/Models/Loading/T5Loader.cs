using Lora.Serialization;
using static TorchSharp.torch;

namespace Lora.Llm.Loading;

/// <summary>Loads a T5 from a Hugging Face folder.</summary>
internal static class T5Loader
{
    private const string Shared = "shared.weight";
    private const string Head = "lm_head.weight";

    // Files may hold the token embedding under the name of each stack too, and an early version had one bias that nothing uses.
    private static readonly string[] _copies = ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight"];
    private const string UnusedBias = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight";

    internal static T5Model Load(string folder, PretrainedOptions? options, Func<T5Config, ScalarType, Device, T5Model> make)
    {
        T5Config config = T5Config.FromFile(FolderLoader.ConfigOf(folder));
        using (SafetensorsSource weights = SafetensorsSource.Open(WeightLoader.Find(folder)))
        {
            // transformers 5 writes that the head is tied whether it is or not.
            if (config.TieEmbeddings && weights.TryGetEntry(Head, out _) && !AreEqual(weights, Head, Shared)) config = config with { TieEmbeddings = false };
            string[] others = [.. _copies.Where(name => weights.TryGetEntry(name, out _) && weights.TryGetEntry(Shared, out _) && !AreEqual(weights, name, Shared))];
            if (others.Length > 0) throw new AdapterFormatException(weights.Path, [.. others.Select(name => $"tensor {name} is not equal to {Shared}, but both stacks of a T5 share one embedding")]);
        }
        return FolderLoader.Load(
            folder, options, config.Layers + config.DecoderLayers, (type, place) => make(config, type, place),
            _ => new TensorRules { Ignored = name => name == UnusedBias || _copies.Contains(name) || (config.TieEmbeddings && name == Head) });
    }

    private static bool AreEqual(SafetensorsSource source, string one, string other)
    {
        const int part = 1 << 26;
        if (!source.TryGetEntry(one, out SafetensorsEntry? a) || !source.TryGetEntry(other, out SafetensorsEntry? b) || a.Type != b.Type || !a.Shape.SequenceEqual(b.Shape)) return false;
        for (long start = 0; start < a.ByteCount; start += part)
        {
            int count = (int)Math.Min(part, a.ByteCount - start);
            if (!source.GetBytes(one, start, count).SequenceEqual(source.GetBytes(other, start, count))) return false;
        }
        return true;
    }
}
