using BenchmarkDotNet.Attributes;
using Lora.Llm;

namespace Lora.Benchmarks;

/// <summary>
/// Encoding English text (this repository's own documents) by GPT-2's real vocabulary and by families of tokenizers with about 500 tokens. The times are those of one character:
/// 100 ns are 10 MB/s. Words that were seen before come from a cache, as in any longer text.
/// </summary>
public class TokenizerBenchmarks
{
    private const int TextLength = 16384;

    private string _text = null!;
    private HuggingFaceTokenizer _gpt2 = null!;
    private HuggingFaceTokenizer _smallGpt2 = null!;
    private HuggingFaceTokenizer _llama3 = null!;
    private HuggingFaceTokenizer _qwen = null!;
    private HuggingFaceTokenizer _llama2 = null!;
    private HuggingFaceTokenizer _bert = null!;
    private HuggingFaceTokenizer _unigram = null!;

    [GlobalSetup]
    public void SetUp()
    {
        _text = string.Concat(Directory.EnumerateFiles(Path.Combine(AppContext.BaseDirectory, "Texts")).Order(StringComparer.Ordinal).Select(File.ReadAllText))[..TextLength];
        _gpt2 = Gpt2Vocabulary.Open();
        _smallGpt2 = Open("gpt2");
        _llama3 = Open("llama3");
        _qwen = Open("qwen");
        _llama2 = Open("llama2");
        _bert = Open("bert");
        _unigram = Open("unigram");
    }

    [Benchmark(Baseline = true, OperationsPerInvoke = TextLength, Description = "GPT-2, 50,257 tokens")]
    public int Gpt2() => _gpt2.EncodeToIds(_text).Count;

    [Benchmark(OperationsPerInvoke = TextLength, Description = "GPT-2, 50,257 tokens, with offsets")]
    public int Gpt2WithOffsets() => _gpt2.Encode(_text).Count;

    [Benchmark(OperationsPerInvoke = TextLength, Description = "byte-level BPE as in GPT-2")]
    public int SmallGpt2() => _smallGpt2.EncodeToIds(_text).Count;

    [Benchmark(OperationsPerInvoke = TextLength, Description = "byte-level BPE as in Llama 3")]
    public int Llama3() => _llama3.EncodeToIds(_text).Count;

    [Benchmark(OperationsPerInvoke = TextLength, Description = "byte-level BPE as in Qwen 2")]
    public int Qwen() => _qwen.EncodeToIds(_text).Count;

    [Benchmark(OperationsPerInvoke = TextLength, Description = "SentencePiece-style BPE as in Llama 2")]
    public int Llama2() => _llama2.EncodeToIds(_text).Count;

    [Benchmark(OperationsPerInvoke = TextLength, Description = "WordPiece as in BERT")]
    public int Bert() => _bert.EncodeToIds(_text).Count;

    [Benchmark(OperationsPerInvoke = TextLength, Description = "Unigram")]
    public int Unigram() => _unigram.EncodeToIds(_text).Count;

    private static HuggingFaceTokenizer Open(string name) =>
        HuggingFaceTokenizer.FromFile(Path.Combine(AppContext.BaseDirectory, "Tokenizers", $"{name}.json"));
}
