using System.Text;
using Lora.Fuzzing.Running;
using Lora.Llm;

namespace Lora.Fuzzing.Targets;

/// <summary><c>tokenizer_config.json</c> beside a <c>tokenizer.json</c> that is right.</summary>
internal sealed class TokenizerConfigTarget : FuzzTarget
{
    private readonly ScratchFolder _folder = new();
    private readonly ScratchFile _file;

    internal TokenizerConfigTarget()
    {
        _file = new ScratchFile(_folder["tokenizer_config.json"]);
        File.WriteAllText(_folder["tokenizer.json"], """{"model":{"type":"WordLevel","vocab":{"<s>":0,"</s>":1,"a":2},"unk_token":"a"}}""");
    }

    internal override string Name => "tokenizer-config";

    internal override string Reads => "HuggingFaceTokenizer.FromFolder with a tokenizer_config.json";

    internal override IReadOnlyList<FuzzSeed> Seeds { get; } =
    [
        new("names", Encoding.UTF8.GetBytes("""{"bos_token":"<s>","eos_token":"</s>","pad_token":null,"unk_token":"<unk>","add_bos_token":true,"model_max_length":1000000000000000019884624838656,"tokenizer_class":"LlamaTokenizer"}""")),
        new("tokens", Encoding.UTF8.GetBytes("""{"added_tokens_decoder":{"0":{"content":"<s>","lstrip":false,"special":true}},"bos_token":{"__type":"AddedToken","content":"<s>","lstrip":false,"normalized":true},"eos_token":{"content":"</s>"},"chat_template":"{% for m in messages %}{{ m['content'] }}{% endfor %}"}""")),
        new("none", "{}"u8.ToArray()),
    ];

    internal override string PlaceName => _file.Path;

    internal override bool IsRejection(Exception exception) => exception is InvalidDataException or NotSupportedException;

    internal override void Read(FuzzSeed seed, byte[] input)
    {
        _file.Write(input);
        HuggingFaceTokenizer.FromFolder(_folder.Path);
    }

    protected override void Dispose(bool disposing)
    {
        _file.Dispose();
        _folder.Dispose();
        base.Dispose(disposing);
    }
}
