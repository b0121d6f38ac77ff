using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Lora.Llm.Tokenization;

namespace Lora.Llm.Tests.Tokenization;

/// <summary>Small tokenizer files for tests, written as JSON with single quotes.</summary>
internal static class TokenizerJsonText
{
    /// <summary>A BPE model of these tokens, numbered from 0, and these merges.</summary>
    public static string Bpe(IEnumerable<string> tokens, IEnumerable<string> merges, string options = "")
    {
        string list = JsonSerializer.Serialize(merges);
        return $"{{'type': 'BPE', {options} 'vocab': {Numbered(tokens)}, 'merges': {list}}}";
    }

    /// <summary>A WordPiece model of these tokens, numbered from 0.</summary>
    public static string WordPiece(IEnumerable<string> tokens, int longestWord = 100, string unknown = "[UNK]", string prefix = "##") =>
        $"{{'type': 'WordPiece', 'unk_token': '{unknown}', 'continuing_subword_prefix': '{prefix}', 'max_input_chars_per_word': {longestWord}, 'vocab': {Numbered(tokens)}}}";

    /// <summary>A WordLevel model of these tokens, numbered from 0.</summary>
    public static string WordLevel(IEnumerable<string> tokens, string unknown = "[UNK]") =>
        $"{{'type': 'WordLevel', 'unk_token': '{unknown}', 'vocab': {Numbered(tokens)}}}";

    /// <summary>A Unigram model of these pieces, numbered from 0.</summary>
    public static string Unigram(IEnumerable<(string Piece, double Score)> pieces, int? unknown = 0, bool fallsBackToBytes = false)
    {
        var vocabulary = new JsonArray([.. pieces.Select(item => new JsonArray(item.Piece, item.Score))]);
        return $"{{'type': 'Unigram', 'unk_id': {(unknown is { } id ? id : "null")}, 'byte_fallback': {(fallsBackToBytes ? "true" : "false")}, 'vocab': {vocabulary.ToJsonString()}}}";
    }

    /// <summary>GPT-2's 256 bytes as tokens.</summary>
    public static IEnumerable<string> Bytes => Enumerable.Range(0, 256).Select(value => ByteAlphabet.ToCharacter((byte)value).ToString());

    public static HuggingFaceTokenizer Load(string model, string others = "'version': '1.0'")
    {
        string json = $"{{{others}, 'model': {model}}}".Replace('\'', '"');
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(json));
        return HuggingFaceTokenizer.FromStream(stream);
    }

    private static string Numbered(IEnumerable<string> tokens)
    {
        var vocabulary = new JsonObject();
        foreach ((int id, string token) in tokens.Index())
        {
            vocabulary[token] = id;
        }

        return vocabulary.ToJsonString();
    }
}
