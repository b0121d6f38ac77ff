using System.Text;
using BenchmarkDotNet.Attributes;
using Lora.Llm;

namespace Lora.Benchmarks;

/// <summary>
/// Encoding 64 KiB of ASCII text by three families of tokenizers with vocabularies of about 500 tokens. The times are those of one byte:
/// 100 ns are 10 MB/s.
/// </summary>
public class TokenizerBenchmarks
{
    private const int TextLength = 65536;

    private string _text = null!;
    private HuggingFaceTokenizer _gpt2 = null!;
    private HuggingFaceTokenizer _qwen = null!;
    private HuggingFaceTokenizer _llama2 = null!;

    [GlobalSetup]
    public void SetUp()
    {
        _text = Text();
        _gpt2 = Open("gpt2");
        _qwen = Open("qwen");
        _llama2 = Open("llama2");
    }

    [Benchmark(Baseline = true, OperationsPerInvoke = TextLength, Description = "byte-level BPE as in GPT-2")]
    public int Gpt2() => _gpt2.EncodeToIds(_text).Count;

    [Benchmark(OperationsPerInvoke = TextLength, Description = "byte-level BPE as in Qwen 2")]
    public int Qwen() => _qwen.EncodeToIds(_text).Count;

    [Benchmark(OperationsPerInvoke = TextLength, Description = "SentencePiece-style BPE as in Llama 2")]
    public int Llama2() => _llama2.EncodeToIds(_text).Count;

    private static HuggingFaceTokenizer Open(string name) =>
        HuggingFaceTokenizer.FromFile(Path.Combine(AppContext.BaseDirectory, "Tokenizers", $"{name}.json"));

    // Short words are frequent, long ones rare, as in real text; numbers and punctuation between them.
    private static string Text()
    {
        string[] syllables = ["the", "an", "of", "to", "lo", "ra", "in", "is", "tion", "er", "com", "ment", "a", "de", "ing", "st", "ow", "pre", "ly", "ex"];
        var random = new Random(1);
        var text = new StringBuilder();
        while (text.Length < TextLength)
        {
            int kind = random.Next(20);
            if (kind == 0) text.Append(random.Next(10000));
            else for (int i = 1 + random.Next(1 + kind / 4); i > 0; i--) text.Append(syllables[random.Next(syllables.Length)]);
            text.Append(random.Next(12) switch { 0 => ", ", 1 => ".\n", _ => " " });
        }

        return text.ToString(0, TextLength);
    }
}
