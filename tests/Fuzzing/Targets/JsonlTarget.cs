using System.Text;
using Lora.Fuzzing.Mutation;
using Lora.Fuzzing.Running;
using Lora.Llm;

namespace Lora.Fuzzing.Targets;

/// <summary>Training data: plain lines, and conversations by every chat template.</summary>
internal sealed class JsonlTarget : FuzzTarget
{
    private static readonly byte[][] _ends = ["\n"u8.ToArray(), "\r\n"u8.ToArray(), "\n\n"u8.ToArray(), "\r"u8.ToArray(), "\n \t\n"u8.ToArray(), " \n"u8.ToArray()];

    private readonly ScratchFolder _folder = new();
    private readonly ScratchFile _file;
    private readonly HuggingFaceTokenizer _tokenizer;
    private readonly HuggingFaceTokenizer _closed;
    private readonly TreeMutator _lines;

    internal JsonlTarget()
    {
        using (var closed = new MemoryStream("""{"model":{"type":"WordLevel","vocab":{"a":0,"b":1},"unk_token":"none"},"pre_tokenizer":{"type":"WhitespaceSplit"}}"""u8.ToArray())) _closed = HuggingFaceTokenizer.FromStream(closed);
        _file = new ScratchFile(_folder["data.jsonl"]);
        using var tokenizer = new MemoryStream(SmallTokenizers.ForChats());
        _tokenizer = HuggingFaceTokenizer.FromStream(tokenizer);
        Seeds =
        [
            Make("prompt", """{"prompt": "What is 2 + 2?", "completion": " It is 4."}""", 0), Make("few words", """{"prompt": "a ", "completion": "b b"}""", -1), Make("text", """{"text": "Once upon a time \u00e9\ud83d\ude00", "id": 7}""", 0),
            .. ChatTemplate.Names.Select((name, place) => Make(name, """{"messages": [{"role": "user", "content": "ab"}, {"role": "assistant", "content": "<think>\nx\n</think>\n\ncd"}, {"role": "user", "content": "e"}, {"role": "assistant", "content": "f"}]}""", place + 1)),
            .. ChatTemplate.Names.Where(name => name != "gemma").Select((name, _) => Make($"{name} with system", """{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "\u00e4b", "tool_calls": null}, {"role": "assistant", "content": "cd"}]}""", ChatTemplate.Names.ToList().IndexOf(name) + 1)),
        ];
        _lines = new TreeMutator(Seeds);
    }

    internal override string Name => "jsonl";

    internal override string Reads => "JsonlDataset.Load with a tokenizer of all bytes and with one of two words, and LoadChat with every template";

    internal override IReadOnlyList<FuzzSeed> Seeds { get; }

    internal override string PlaceName => _file.Path;

    // A buffer for lines of 64 KiB.
    internal override long FloorBytes => 384 << 10;

    // Tokens with their offsets and turns, for each of which the tokenizer holds lists.
    internal override int BytesPerByte => 128;

    internal override bool IsRejection(Exception exception) => exception is InvalidDataException;

    internal override byte[] Mutate(FuzzSeed seed, FuzzRandom random)
    {
        var file = new MemoryStream();
        if (random.OneIn(8)) file.Write([0xEF, 0xBB, 0xBF]);
        int lines = random.Small(6), damaged = random.Next(lines);
        for (int i = 0; i < lines; i++)
        {
            file.Write(i == damaged ? _lines.Mutate(seed, random) : seed.Bytes);
            if (i + 1 < lines || random.OneIn(2)) file.Write(random.Pick(_ends));
        }
        return random.OneIn(4) ? ByteMutator.Mutate(file.ToArray(), random.Pick(Seeds).Bytes, random) : file.ToArray();
    }

    internal override void Read(FuzzSeed seed, byte[] input)
    {
        _file.Write(input);
        JsonlDataset data = seed.Variant <= 0 ? JsonlDataset.Load(_file.Path, seed.Variant == 0 ? _tokenizer : _closed) : JsonlDataset.LoadChat(_file.Path, _tokenizer, ChatTemplate.Named(ChatTemplate.Names[seed.Variant - 1]));
        if (data.Examples.Count != data.Records.Count || data.Examples.Any(example => example.InputIds.Count != example.Labels.Count)) throw new InvalidOperationException("Examples, records and labels are not as many.");
    }

    protected override void Dispose(bool disposing)
    {
        _file.Dispose();
        _folder.Dispose();
        base.Dispose(disposing);
    }

    private static FuzzSeed Make(string name, string json, int variant) => new(name, Encoding.UTF8.GetBytes(json), variant);
}
