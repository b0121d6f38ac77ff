using System.Text.Json;

namespace Lora.Llm.Tokenization;

/// <summary>Reads the model part of a Unigram tokenizer.</summary>
internal static class UnigramModelReader
{
    public static UnigramModel Read(JsonPart part)
    {
        ModelVocabulary vocabulary = ReadPieces(part.Required("vocab"), out double[] scores);
        int unknownId = part.Optional("unk_id")?.AsInt32() ?? -1;
        return unknownId < scores.Length && (unknownId >= 0 || part.Optional("unk_id") is null)
            ? new UnigramModel(vocabulary, scores, unknownId, part.Boolean("byte_fallback", false))
            : throw part.Invalid($"has unk_id {unknownId}, but its vocab holds {scores.Length} pieces. Save the tokenizer again with Hugging Face tokenizers.");
    }

    /// <summary>Reads <c>[["piece", score], …]</c>; a piece's place is its id.</summary>
    private static ModelVocabulary ReadPieces(JsonPart part, out double[] scores)
    {
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        var tokens = new List<string>();
        var values = new List<double>();
        foreach (JsonPart item in part.Items())
        {
            JsonElement pair = item.Element;
            if (pair.ValueKind != JsonValueKind.Array || pair.GetArrayLength() != 2 || pair[0].ValueKind != JsonValueKind.String || pair[1].ValueKind != JsonValueKind.Number)
            {
                throw item.Unexpected("[piece, score]");
            }

            if (!double.IsFinite(pair[1].GetDouble()))
            {
                throw item.Invalid($"has the score {pair[1].GetRawText()}, which is no finite number. Copy or download the file again.");
            }

            string piece = pair[0].GetString()!;
            ids[piece] = tokens.Count;
            tokens.Add(piece);
            values.Add(pair[1].GetDouble());
        }

        scores = [.. values];
        return new ModelVocabulary(ids, [.. tokens]);
    }
}
