using System.Text;
using System.Text.Json.Nodes;

namespace Lora.Fuzzing.Targets;

/// <summary>The tokenizers of the reference cases with fewer tokens, and some that hold what those lack.</summary>
internal static class SmallTokenizers
{
    private const int Tokens = 40;

    internal static IEnumerable<FuzzSeed> All()
    {
        foreach (FuzzSeed seed in Golden.Files("f*", "tokenizer.json")) yield return seed with { Bytes = Cut(seed.Bytes) };
        yield return Make("bpe with affixes", """
            {"added_tokens":[{"id":9,"content":" x ","special":true,"lstrip":true,"rstrip":true,"single_word":true,"normalized":true}],"normalizer":{"type":"Sequence","normalizers":[{"type":"Strip","strip_left":true,"strip_right":false},{"type":"NFKD"},{"type":"Lowercase"},{"type":"Replace","pattern":{"Regex":"\\s{2,}"},"content":" "}]},
            "pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},{"type":"Digits","individual_digits":true},{"type":"Punctuation","behavior":"MergedWithNext"},{"type":"CharDelimiterSplit","delimiter":"-"},{"type":"Split","pattern":{"String":"b"},"behavior":"Contiguous","invert":true}]},
            "model":{"type":"BPE","dropout":0.0,"unk_token":"<unk>","continuing_subword_prefix":"##","end_of_word_suffix":"</w>","fuse_unk":true,"vocab":{"<unk>":0,"a":1,"##b":2,"ab":3,"##b</w>":4,"a</w>":5},"merges":[["a","##b"]]},
            "post_processor":{"type":"RobertaProcessing","sep":["<unk>",0],"cls":["a",1],"trim_offsets":true,"add_prefix_space":false},"decoder":{"type":"BPEDecoder","suffix":"</w>"}}
            """);
        yield return Make("unigram with bytes", """
            {"normalizer":{"type":"Prepend","prepend":"\u2581"},"pre_tokenizer":{"type":"Metaspace","replacement":"\u2581","prepend_scheme":"first","split":false},"model":{"type":"Unigram","unk_id":0,"byte_fallback":true,"vocab":[["<unk>",0.0],["\u2581",-1.5],["a",-2],["<0x41>",-3],["\u2581a",-1e-3]]},
            "decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"Regex":"\u2581|a"},"content":" "},{"type":"Strip","content":" ","start":1,"stop":1}]}}
            """);
        yield return Make("without types", """{"model":{"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]},"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(?i:'s|t)|[^\\s\\p{L}]+?|\\p{N}{1,3}+|(?<!a)b(?=c)|\\w\\b\\h"},"behavior":"Removed","invert":false}}""");
    }

    /// <summary>One that has every token of every chat template, and all bytes.</summary>
    internal static byte[] ForChats()
    {
        JsonObject root = JsonNode.Parse(File.ReadAllBytes(Path.Combine(Golden.Root, "f01_gpt2_bytelevel", "tokenizer.json")))!.AsObject();
        int id = root["model"]!["vocab"]!.AsObject().Count;
        string[] markers =
        [
            "<s>", "</s>", "<bos>", "<eos>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|eot_id|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "[INST]", "[/INST]", "<start_of_turn>", "<end_of_turn>", "<|user|>", "<|assistant|>", "<|system|>",
            "<|end|>", "<|endoftext|>",
        ];
        foreach (string marker in markers)
            root["added_tokens"]!.AsArray().Add(new JsonObject { ["id"] = id++, ["content"] = marker, ["special"] = true });
        return Encoding.UTF8.GetBytes(root.ToJsonString());
    }

    private static FuzzSeed Make(string name, string json) => new(name, Encoding.UTF8.GetBytes(json));

    private static byte[] Cut(byte[] json)
    {
        JsonObject root = JsonNode.Parse(json)!.AsObject(), model = root["model"]!.AsObject();
        if (model["vocab"] is JsonArray pieces)
        {
            while (pieces.Count > Tokens) pieces.RemoveAt(pieces.Count - 1);
            return Encoding.UTF8.GetBytes(root.ToJsonString());
        }
        JsonObject vocabulary = model["vocab"]!.AsObject();
        foreach (string token in vocabulary.Where(pair => (int)pair.Value! >= Tokens).Select(pair => pair.Key).ToArray()) vocabulary.Remove(token);
        if (model["merges"] is JsonArray merges)
        {
            string?[] kept = [.. merges.Select(merge => (string?)merge?.AsArrayOrText())];
            for (int i = merges.Count - 1; i >= 0; i--)
            {
                string[] pair = kept[i]!.Split(' ');
                if (pair.Length != 2 || !vocabulary.ContainsKey(pair[0]) || !vocabulary.ContainsKey(pair[1]) || !vocabulary.ContainsKey(pair[0] + pair[1])) merges.RemoveAt(i);
            }
        }
        return Encoding.UTF8.GetBytes(root.ToJsonString());
    }

    private static string AsArrayOrText(this JsonNode merge) => merge is JsonArray pair ? $"{pair[0]} {pair[1]}" : merge.ToString();
}
