using System.Text;
using System.Text.Json;
using Lora.Llm.Tokenization;
using Lora.Tests.Golden;
using static Lora.Llm.Tests.Tokenization.TokenizerJsonText;

namespace Lora.Llm.Tests.Tokenization;

/// <summary>Text made to be slow takes no more work than its length allows. Where work cannot be counted the texts are so long that quadratic work would not end.</summary>
public sealed class HostileTextTests
{
    private const int Megabyte = 1 << 20;

    /// <summary>What a text consists of, over and over, and how it ends.</summary>
    public static readonly (string Unit, string End)[] Texts =
    [
        ("a", ""), (" ", ""), (" ", "x"), ("\n", ""), (" \n", "x"), ("\t ", ""), ("7", ""), ("!", ""), ("a ", ""), ("ab", ""), ("a1", ""), ("aA", ""), ("'", ""), ("'s", ""), ("😀", ""), ("中", ""),
        ("\u0301\u0323", ""), ("<|", ""), ("\uD800", ""), ("\0", ""), (" \u00A0", "x"),
    ];

    /// <summary>How models in use cut their texts: GPT-2, Llama 3 and GPT-4, Qwen 2 and GPT-4o.</summary>
    public static TheoryData<string> Patterns =>
    [
        @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        @"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ];

    /// <summary>Tokenizers of all kinds.</summary>
    public static TheoryData<string> Kinds => [.. GoldenFolder.Cases('F')];

    [Theory]
    [MemberData(nameof(Patterns))]
    public void A_pattern_cuts_a_megabyte_into_pieces_that_leave_nothing_out(string pattern)
    {
        using JsonDocument json = JsonDocument.Parse(JsonSerializer.Serialize(pattern));
        var regex = new RegexPattern(OnigurumaSyntax.Translate(new JsonPart("tokenizer.json", "pattern", json.RootElement)));
        foreach ((string unit, string end) in Texts)
        {
            string text = Repeated(unit, end, Megabyte);
            var matches = new List<(int Start, int Length)>();
            regex.Find(text, matches);
            var pieces = new List<TextPiece>();
            PieceCutter.Cut(new TextPiece(0, text.Length), matches, inverts: false, SplitBehavior.Isolated, pieces);
            Assert.Equal(text.Length, pieces.Sum(piece => piece.Length));
        }
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Kinds))]
    public void Every_kind_of_tokenizer_reads_long_runs(string name)
    {
        HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFile(GoldenFolder.PathOf(name, "tokenizer.json"));
        foreach ((string unit, string end) in Texts)
        {
            // A run begins and ends with the same tokens, however long it is.
            int[] some = [.. tokenizer.EncodeToIds(Repeated(unit, end, 1 << 12))], many = [.. tokenizer.EncodeToIds(Repeated(unit, end, 1 << 17))];
            Assert.Equal(some.Take(3), many.Take(3));
            Assert.Equal(some.TakeLast(2), many.TakeLast(2));
        }
    }

    [Fact]
    public void Merging_offers_no_more_pairs_than_three_for_each_letter()
    {
        // Every pair of one letter's runs merges, which is the most that can happen.
        string[] tokens = [.. Enumerable.Range(0, 8).Select(power => new string('a', 1 << power))];
        using JsonDocument json = JsonDocument.Parse(JsonSerializer.Serialize(tokens.SkipLast(1).Select(token => $"{token} {token}")));
        var vocabulary = new ModelVocabulary(tokens.Index().ToDictionary(entry => entry.Item, entry => entry.Index), tokens);
        var symbols = new SymbolList(MergeTable.Read(new JsonPart("tokenizer.json", "model.merges", json.RootElement), vocabulary, 0));
        for (int i = 0; i < Megabyte; i++) symbols.Add(0, i, i + 1);
        symbols.MergeAll();
        Assert.Equal(Megabyte / 128, symbols.ToTokens().Length);
        Assert.InRange(symbols.OfferCount, Megabyte - 1, 3 * Megabyte);
    }

    [Fact]
    public void Pairs_of_one_id_with_itself_do_not_crowd_the_table()
    {
        // 64-bit keys of .NET's dictionary would all share one bucket here.
        var table = new PairTable();
        for (int id = 0; id < 100_000; id++) table.Set(PairTable.Key(id, id), (ulong)id);
        for (int id = 0; id < 100_000; id++)
        {
            Assert.True(table.TryGet(PairTable.Key(id, id), out ulong value));
            Assert.Equal((ulong)id, value);
            Assert.False(table.TryGet(PairTable.Key(id, id + 1), out _));
        }

        Assert.InRange(table.LongestRun(), 1, 100);
        table.Set(PairTable.Key(7, 7), 1);
        Assert.True(table.TryGet(PairTable.Key(7, 7), out ulong last));
        Assert.Equal(1UL, last);
    }

    [Fact]
    public void A_unigram_model_walks_no_further_than_its_longest_piece()
    {
        HuggingFaceTokenizer tokenizer = Load(Unigram([("<unk>", 0), ("a", -2), ("aaaa", -3), ("b", -2)]));
        Assert.Equal([.. Enumerable.Repeat(2, Megabyte / 4), 3], tokenizer.EncodeToIds(Repeated("a", "b", Megabyte)));
    }

    [Fact]
    public void A_word_longer_than_max_input_chars_per_word_is_unknown_and_one_that_is_allowed_is_spelled()
    {
        string word = Repeated("a", "", Megabyte);
        Assert.Equal([0], Load(WordPiece(["[UNK]", "a", "##a"])).EncodeToIds(word));
        Assert.Equal([1, .. Enumerable.Repeat(2, Megabyte - 1)], Load(WordPiece(["[UNK]", "a", "##a"], longestWord: Megabyte)).EncodeToIds(word));
        Assert.Equal([0], Load(WordPiece(["[UNK]", "a", "##a"], longestWord: 2 * Megabyte)).EncodeToIds(word + "b"));
    }

    [Theory]
    [InlineData("NFC")]
    [InlineData("NFD")]
    public void Marks_are_put_in_order_over_a_megabyte(string form)
    {
        // Every second mark belongs before the others.
        string text = "a" + Repeated("\u0301\u0323", "", Megabyte);
        using JsonDocument json = JsonDocument.Parse($"{{\"type\": \"{form}\"}}");
        PieceText work = PieceText.Whole(text, isTracked: true);
        NormalizerStage.Read(new JsonPart("tokenizer.json", "normalizer", json.RootElement)).Apply(work);
        int half = (text.Length - 1) / 2;
        string start = form == "NFC" ? "\u1EA1" + Repeated("\u0323", "", 2 * (half - 1)) : "a" + Repeated("\u0323", "", 2 * half);
        Assert.Equal(start + Repeated("\u0301", "", 2 * half), work.Text.Units.ToString());
    }

    private static string Repeated(string unit, string end, int bytes) =>
        new StringBuilder().Insert(0, unit, bytes / Encoding.UTF8.GetByteCount(unit)).Append(end).ToString();
}
