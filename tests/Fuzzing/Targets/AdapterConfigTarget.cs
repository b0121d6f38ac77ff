using System.Text;
using Lora.Serialization;

namespace Lora.Fuzzing.Targets;

/// <summary>PEFT's <c>adapter_config.json</c>, and writing back what was accepted.</summary>
internal sealed class AdapterConfigTarget : FuzzTarget
{
    internal override string Name => "adapter-config";

    internal override string Reads => "PeftAdapterConfig.Parse and ToLoraConfig; of those accepted ToJson, which must be read back to the same text";

    // PEFT's own files are refused where they ask for what is not supported: these are no seeds.
    internal override IReadOnlyList<FuzzSeed> Seeds { get; } =
    [
        .. Golden.Files("*", PeftAdapterConfig.FileName).Where(seed => !seed.Name.StartsWith("g01", StringComparison.Ordinal) && seed.Bytes.Length < 4096 && IsSupported(seed.Bytes))
            .DistinctBy(seed => Convert.ToBase64String(seed.Bytes)).Where((_, place) => place % 4 == 0).Take(28),
        Make("eva", """{"peft_type":"LORA","r":4,"lora_alpha":8,"target_modules":["q_proj"],"init_lora_weights":"eva","eva_config":{"rho":2.0,"tau":0.99,"whiten":false,"adjust_scaling_factors":true}}"""),
        Make("corda", """{"peft_type":"LORA","target_modules":"all-linear","init_lora_weights":"corda","corda_config":{"corda_method":"kpm","cache_file":null}}"""),
        Make("lora_ga", """{"peft_type":"LORA","target_modules":["a","b.c"],"init_lora_weights":"lora_ga","lora_ga_config":{"direction":"ArB2r","scale":"stable","stable_gamma":16}}"""),
        Make("pissa", """{"peft_type":"LORA","target_modules":".*\\.(q|v)_proj","init_lora_weights":"pissa_niter_4","rank_pattern":{"^model\\.layers\\.0.*":2},"alpha_pattern":{"q_proj":4.5}}"""),
        Make("blocks", """{"peft_type":"LORA","target_modules":["q","o"],"use_bdlora":{"target_modules_bd_a":["q"],"target_modules_bd_b":["o"],"nblocks":2,"match_strict":true}}"""),
        Make("kasa", """{"peft_type":"LORA","target_modules":["q"],"kasa_config":{"beta":0.1,"gamma":0.01}}"""),
        Make("layers", """{"peft_type":"LORA","target_modules":["q"],"layers_to_transform":[0,2],"layers_pattern":"layers","layer_replication":[[0,2],[1,3]],"trainable_token_indices":{"embed":[0,1]},"modules_to_save":["head"],"alora_invocation_tokens":[1,2],"task_type":"CAUSAL_LM"}"""),
    ];

    internal override string PlaceName => PeftAdapterConfig.FileName;

    // An item of a list takes two bytes of the file, and what is refused is quoted.
    internal override int BytesPerByte => 160;

    internal override void Read(FuzzSeed seed, byte[] input)
    {
        PeftAdapterConfig file = PeftAdapterConfig.Parse(PeftAdapterConfig.FileName, input);
        LoraConfig config = file.ToLoraConfig();
        string text = file.ToJson();
        if (PeftAdapterConfig.Parse(text).ToJson() != text) throw new InvalidOperationException("The file that is written back is read as another.");
        // What the settings mean must survive a file that is written anew.
        string anew = PeftAdapterConfig.From(config).ToJson();
        if (PeftAdapterConfig.From(PeftAdapterConfig.Parse(anew).ToLoraConfig()).ToJson() != anew) throw new InvalidOperationException("A file made from the settings gives other settings.");
    }

    private static FuzzSeed Make(string name, string json) => new(name, Encoding.UTF8.GetBytes(json));

    private static bool IsSupported(byte[] json)
    {
        try
        {
            PeftAdapterConfig.Parse(PeftAdapterConfig.FileName, json).ToLoraConfig();
            return true;
        }
        catch (AdapterFormatException)
        {
            return false;
        }
    }
}
