namespace Lora.Llm.Tokenization;

/// <summary>Lays sequences and special tokens out after a template, one for a single sequence and one for a pair.</summary>
internal sealed class TemplatePostProcessor : PostProcessor
{
    private readonly Slot[] _single;
    private readonly Slot[] _pair;

    private TemplatePostProcessor(Slot[] single, Slot[] pair)
    {
        _single = single;
        _pair = pair;
    }

    public static TemplatePostProcessor ReadTemplate(JsonPart part)
    {
        var tokens = new Dictionary<string, SpecialToken[]>();
        foreach ((string name, JsonPart entry) in part.Required("special_tokens").Members())
        {
            int[] ids = [.. entry.Required("ids").Items().Select(item => item.AsId())];
            string[] texts = [.. entry.Required("tokens").Items().Select(item => item.AsString())];
            if (ids.Length != texts.Length)
            {
                throw entry.Invalid($"has {ids.Length} ids and {texts.Length} tokens; there should be as many of each.");
            }

            tokens[name] = [.. texts.Zip(ids, (text, id) => new SpecialToken(text, id))];
        }

        return new TemplatePostProcessor(ReadSlots(part.Required("single"), tokens, 1), ReadSlots(part.Required("pair"), tokens, 2));
    }

    public override bool Frames => true;

    public override int AddedTokens(bool isPair) => (isPair ? _pair : _single).Sum(slot => slot.Tokens?.Length ?? 0);

    public override List<EncodingPart> Process(List<EncodingPart> parts, bool addsSpecialTokens)
    {
        var laidOut = new List<EncodingPart>();
        foreach (Slot slot in parts.Count == 1 ? _single : _pair)
        {
            if (slot.Tokens is null)
            {
                parts[slot.Sequence].TypeId = slot.TypeId;
                laidOut.Add(parts[slot.Sequence]);
            }
            else if (addsSpecialTokens)
            {
                laidOut.Add(Special(parts[0], slot.TypeId, slot.Tokens));
            }
        }

        return laidOut;
    }

    private static Slot[] ReadSlots(JsonPart part, Dictionary<string, SpecialToken[]> tokens, int sequences)
    {
        var slots = new List<Slot>();
        foreach (JsonPart item in part.Items())
        {
            if (item.Optional("Sequence") is { } sequence)
            {
                string id = sequence.String("id");
                int index = id switch { "A" => 0, "B" => 1, _ => -1 };
                if (index < 0 || index >= sequences)
                {
                    throw sequence.Invalid($"names the sequence '{id}'; a template for {sequences} has {(sequences == 1 ? "only A" : "A and B")}.");
                }

                slots.Add(new Slot(index, null, sequence.Int32("type_id")));
            }
            else if (item.Optional("SpecialToken") is { } special)
            {
                string id = special.String("id");
                if (!tokens.TryGetValue(id, out SpecialToken[]? found))
                {
                    throw special.Invalid($"names the special token '{id}', which special_tokens does not hold. It holds: {string.Join(", ", tokens.Keys)}.");
                }

                slots.Add(new Slot(0, found, special.Int32("type_id")));
            }
            else
            {
                throw item.Unexpected("{\"Sequence\": …} or {\"SpecialToken\": …}");
            }
        }

        return [.. slots];
    }

    private readonly record struct Slot(int Sequence, SpecialToken[]? Tokens, int TypeId);
}
