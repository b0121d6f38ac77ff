using System.Text;
using Lora.Fuzzing.Running;
using Lora.Llm;

namespace Lora.Fuzzing.Targets;

/// <summary><c>config.json</c> of every family.</summary>
internal sealed class ModelConfigTarget : FuzzTarget
{
    private static readonly (string Type, Func<string, object> Read)[] _families =
    [
        ("gpt2", Gpt2Config.FromFile), ("llama", LlamaConfig.FromFile), ("mistral", MistralConfig.FromFile), ("qwen2", Qwen2Config.FromFile), ("qwen3", Qwen3Config.FromFile), ("gemma2", Gemma2Config.FromFile),
        ("gemma3_text", Gemma3Config.FromFile), ("phi3", Phi3Config.FromFile), ("t5", T5Config.FromFile), ("bert", BertConfig.FromFile), ("roberta", RobertaConfig.FromFile), ("vit", ViTConfig.FromFile), ("resnet", ResNetConfig.FromFile),
    ];

    private readonly ScratchFolder _folder = new();
    private readonly ScratchFile _file;

    internal ModelConfigTarget()
    {
        _file = new ScratchFile(_folder["config.json"]);
        Seeds =
        [
            .. Golden.Files("e*", "config.json").Concat(Golden.Files("e*", "config_v4.json")).DistinctBy(seed => Convert.ToBase64String(seed.Bytes)).Select(Known),
            Made("""{"model_type":"resnet","num_channels":2,"embedding_size":5,"hidden_sizes":[8,12],"depths":[2,1],"layer_type":"bottleneck","hidden_act":"relu","downsample_in_first_stage":false,"downsample_in_bottleneck":false,"id2label":{"0":"cat","1":"dog"}}"""),
            Made("""{"model_type":"phi3","vocab_size":64,"hidden_size":16,"intermediate_size":24,"num_hidden_layers":2,"num_attention_heads":2,"partial_rotary_factor":0.5,"max_position_embeddings":64,"original_max_position_embeddings":16,"pad_token_id":0,"rope_scaling":{"type":"longrope","short_factor":[1.0,1.5],"long_factor":[2.0,3.0]}}"""),
            Made("""{"model_type":"qwen2","vocab_size":64,"hidden_size":16,"intermediate_size":24,"num_hidden_layers":3,"num_attention_heads":2,"num_key_value_heads":1,"use_sliding_window":true,"sliding_window":8,"max_window_layers":1}"""),
            Made("""{"model_type":"bert","vocab_size":64,"hidden_size":16,"intermediate_size":24,"num_hidden_layers":1,"num_attention_heads":2,"num_labels":3,"problem_type":"regression","classifier_dropout":0.1}"""),
            Made("""{"model_type":"roberta","vocab_size":64,"hidden_size":16,"intermediate_size":24,"num_hidden_layers":1,"num_attention_heads":2,"label2id":{"a":0,"b":1},"pad_token_id":1,"max_position_embeddings":20,"type_vocab_size":1}"""),
        ];
    }

    internal override string Name => "config";

    internal override string Reads => "FromFile of every family's configuration: Gpt2, Llama, Mistral, Qwen2, Qwen3, Gemma2, Gemma3, Phi3, T5, Bert, Roberta, ViT, ResNet";

    internal override IReadOnlyList<FuzzSeed> Seeds { get; }

    internal override string PlaceName => _file.Path;

    internal override void Read(FuzzSeed seed, byte[] input)
    {
        _file.Write(input);
        _families[seed.Variant].Read(_file.Path);
    }

    protected override void Dispose(bool disposing)
    {
        _file.Dispose();
        _folder.Dispose();
        base.Dispose(disposing);
    }

    private static FuzzSeed Made(string json) => Known(new FuzzSeed("made by hand", Encoding.UTF8.GetBytes(json)));

    private static FuzzSeed Known(FuzzSeed seed)
    {
        using var document = System.Text.Json.JsonDocument.Parse(seed.Bytes);
        string type = document.RootElement.GetProperty("model_type").GetString()!;
        return seed with { Variant = Array.FindIndex(_families, family => family.Type == type) };
    }
}
