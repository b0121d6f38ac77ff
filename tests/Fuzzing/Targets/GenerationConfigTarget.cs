using System.Text;
using Lora.Fuzzing.Running;
using Lora.Llm;

namespace Lora.Fuzzing.Targets;

/// <summary><c>generation_config.json</c> beside a <c>config.json</c> that is right.</summary>
internal sealed class GenerationConfigTarget : FuzzTarget
{
    private readonly ScratchFolder _folder = new();
    private readonly ScratchFile _file;

    internal GenerationConfigTarget()
    {
        _file = new ScratchFile(_folder["generation_config.json"]);
        File.WriteAllText(_folder["config.json"], """{"model_type":"llama","vocab_size":64,"hidden_size":16,"intermediate_size":24,"num_hidden_layers":1,"num_attention_heads":2}""");
    }

    internal override string Name => "generation-config";

    internal override string Reads => "LlamaConfig.FromFile with a generation_config.json beside it";

    internal override IReadOnlyList<FuzzSeed> Seeds { get; } =
    [
        .. Golden.Files("e*", "generation_config.json").DistinctBy(seed => Convert.ToBase64String(seed.Bytes)),
        new("several", Encoding.UTF8.GetBytes("""{"bos_token_id":1,"eos_token_id":[2,3,32007],"pad_token_id":0,"do_sample":true,"temperature":0.6,"top_p":0.9}""")),
    ];

    internal override string PlaceName => _file.Path;

    internal override void Read(FuzzSeed seed, byte[] input)
    {
        _file.Write(input);
        LlamaConfig.FromFile(_folder["config.json"]);
    }

    protected override void Dispose(bool disposing)
    {
        _file.Dispose();
        _folder.Dispose();
        base.Dispose(disposing);
    }
}
