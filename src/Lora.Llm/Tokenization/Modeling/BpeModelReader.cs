using System.Text.Json;

namespace Lora.Llm.Tokenization;

/// <summary>Reads the model part of a BPE tokenizer.</summary>
internal static class BpeModelReader
{
    public static BpeModel Read(JsonPart part)
    {
        if (part.Optional("dropout") is { } dropout && !(dropout.Element.ValueKind == JsonValueKind.Number && dropout.Element.TryGetDouble(out double rate) && rate == 0))
        {
            throw part.Unsupported($"has dropout {dropout.Element.GetRawText()}, which makes tokens random. Set it to null.");
        }

        var settings = new BpeSettings(
            part.OptionalString("unk_token"),
            NullIfEmpty(part.OptionalString("continuing_subword_prefix")),
            NullIfEmpty(part.OptionalString("end_of_word_suffix")),
            part.Boolean("fuse_unk", false),
            part.Boolean("byte_fallback", false),
            part.Boolean("ignore_merges", false));
        ModelVocabulary vocabulary = ModelVocabulary.ReadMap(part.Required("vocab"));
        MergeTable merges = MergeTable.Read(part.Required("merges"), vocabulary, settings.ContinuingSubwordPrefix?.Length ?? 0);
        return new BpeModel(vocabulary, merges, settings);
    }

    private static string? NullIfEmpty(string? text) => string.IsNullOrEmpty(text) ? null : text;
}
