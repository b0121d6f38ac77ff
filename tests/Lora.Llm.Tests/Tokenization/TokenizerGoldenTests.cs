using System.Runtime.CompilerServices;
using System.Text.Json;
using Lora.Llm.Tokenization;
using Lora.Tests.Golden;

namespace Lora.Llm.Tests.Tokenization;

/// <summary>Every recorded string of every tokenizer case: ids, tokens, offsets, types and the way back.</summary>
[Trait("Golden", "F")]
public sealed class TokenizerGoldenTests(ITestOutputHelper output)
{
    public static TheoryData<string> Cases => [.. GoldenFolder.Cases('F')];

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Cases))]
    public void Gives_what_the_reference_recorded(string name)
    {
        HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFile(GoldenFolder.PathOf(name, "tokenizer.json"));
        using JsonDocument description = JsonDocument.Parse(File.ReadAllBytes(GoldenFolder.PathOf(name, "case.json")));
        using JsonDocument recorded = JsonDocument.Parse(File.ReadAllBytes(GoldenFolder.PathOf(name, "expected.json")));
        Assert.Equal(description.RootElement.GetProperty("vocab_size").GetInt32(), tokenizer.VocabularySize);

        int strings = 0;
        foreach (JsonElement record in recorded.RootElement.GetProperty("strings").EnumerateArray())
        {
            CompareString(tokenizer, record);
            strings++;
        }

        int pairs = 0;
        if (recorded.RootElement.TryGetProperty("pairs", out JsonElement pairRecords))
        {
            foreach (JsonElement record in pairRecords.EnumerateArray())
            {
                ComparePair(tokenizer, record);
                pairs++;
            }
        }

        CompareBatch(tokenizer, recorded.RootElement.GetProperty("batch_truncated_to_7_padded"));
        Assert.Equal(description.RootElement.GetProperty("strings").GetInt32(), strings);
        output.WriteLine($"{name}: {strings} strings, {pairs} pairs and a batch compared.");
    }

    private static void CompareString(HuggingFaceTokenizer tokenizer, JsonElement record)
    {
        string text = record.GetProperty("text").GetString()!;
        TokenizerEncoding encoding = tokenizer.Encode(text);
        Same(text, Strings(record, "tokens"), encoding.Tokens);
        Same(text, Numbers(record, "ids"), encoding.Ids);
        Same(text, Offsets(record), encoding.Offsets.Select(offset => InCodePoints(text, offset)));
        Same(text, Numbers(record, "type_ids"), encoding.TypeIds);
        Same(text, Numbers(record, "ids"), tokenizer.EncodeToIds(text));
        Same(text, Numbers(record, "ids"), tokenizer.EncodeToIds(text.AsSpan()));
        Same(text, Numbers(record, "ids_no_special"), tokenizer.Encode(text, addSpecialTokens: false).Ids);
        Same(text, [record.GetProperty("decoded").GetString()!], [tokenizer.Decode(encoding.Ids)]);
        Same(text, [record.GetProperty("decoded_skip_special").GetString()!], [tokenizer.Decode(encoding.Ids, skipSpecialTokens: true)]);
    }

    private static void ComparePair(HuggingFaceTokenizer tokenizer, JsonElement record)
    {
        TokenizerEncoding encoding = tokenizer.Encode(record.GetProperty("a").GetString()!, record.GetProperty("b").GetString()!);
        Assert.Equal(Numbers(record, "ids"), encoding.Ids);
        Assert.Equal(Numbers(record, "type_ids"), encoding.TypeIds);
        Assert.Equal(Numbers(record, "special_tokens_mask"), encoding.SpecialTokensMask.Select(isSpecial => isSpecial ? 1 : 0));
    }

    private static void CompareBatch(HuggingFaceTokenizer tokenizer, JsonElement record)
    {
        int pad = record.GetProperty("pad_id").GetInt32();
        TokenizerBatch batch = tokenizer.EncodeBatch(Strings(record, "texts"), new PaddingOptions { PadId = pad }, maxLength: 7);
        Assert.Equal(record.GetProperty("ids").EnumerateArray().Select(Numbers), batch.Ids);
        Assert.Equal(record.GetProperty("attention_mask").EnumerateArray().Select(Numbers), batch.AttentionMask);
    }

    private static void Same<T>(string text, IEnumerable<T> expected, IEnumerable<T> actual, [CallerArgumentExpression(nameof(actual))] string what = "")
    {
        if (!expected.SequenceEqual(actual))
        {
            Assert.Fail($"{what} of {JsonSerializer.Serialize(text)} should be [{string.Join(", ", expected)}] but is [{string.Join(", ", actual)}].");
        }
    }

    private static int[] Numbers(JsonElement record, string name) => Numbers(record.GetProperty(name));

    private static int[] Numbers(JsonElement array) => [.. array.EnumerateArray().Select(item => item.GetInt32())];

    private static string[] Strings(JsonElement record, string name) => [.. record.GetProperty(name).EnumerateArray().Select(item => item.GetString()!)];

    private static (int Start, int End)[] Offsets(JsonElement record) =>
        [.. record.GetProperty("offsets").EnumerateArray().Select(pair => (pair[0].GetInt32(), pair[1].GetInt32()))];

    // The reference counts code points.
    private static (int Start, int End) InCodePoints(string text, Range offset) =>
        (text.AsSpan(0, offset.Start.Value).ToString().EnumerateRunes().Count(), text.AsSpan(0, offset.End.Value).ToString().EnumerateRunes().Count());
}
