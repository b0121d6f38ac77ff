using Lora.Serialization;
using Lora.Targeting;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Serialization;

/// <summary>An adapter's files cannot ask for more memory than they account for. Tensors are counted for the whole process.</summary>
[Collection(Alone.Name)]
public sealed class HostileAdapterTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static nn.Module<Tensor, Tensor> Model() => nn.Sequential(("q_proj", nn.Linear(4, 6)), ("v_proj", nn.Linear(6, 5)));

    [Fact]
    public void A_rank_that_no_tensor_has_is_refused_before_memory_is_taken_for_it()
    {
        using nn.Module<Tensor, Tensor> model = Model();
        using (var lora = LoraModel.Wrap(model, new LoraConfig { Rank = 2, TargetModules = ModuleSelector.EndsWith("q_proj", "v_proj") })) lora.Save(_folder["adapter"]);
        string path = _folder["adapter/adapter_config.json"];
        File.WriteAllText(path, File.ReadAllText(path).Replace("\"rank_pattern\": {}", "\"rank_pattern\": {\"v_proj\": 100000000}", StringComparison.Ordinal));
        AdapterFormatException? error = null;
        long peak = AllocatedMemory.PeakOf(() => error = Assert.Throws<AdapterFormatException>(() => LoraModel.Load(model, _folder["adapter"])));
        Assert.InRange(peak, 0, 1 << 20);
        Assert.Equal($"{_folder["adapter"]}: layer 'v_proj' has the rank 100000000 by the configuration, but no tensor of the file has a dimension above 6", error!.Message);
    }

    [Fact]
    public void A_remark_of_diffusers_that_is_wrong_is_named_with_its_file()
    {
        using nn.Module<Tensor, Tensor> model = Model();
        using DisposeScope scope = NewDisposeScope();
        SafetensorsWriter.Save(
            _folder["style.safetensors"], new Dictionary<string, Tensor> { ["unet.q_proj.lora_A.weight"] = ones(2, 4), ["unet.q_proj.lora_B.weight"] = ones(6, 2) },
            new Dictionary<string, string> { ["lora_adapter_metadata"] = """{"unet.r": 1.5, "unet.lora_alpha": 2}""" });
        Assert.Equal(
            $"{_folder["style.safetensors"]} (lora_adapter_metadata): r must be a whole number of at least 1, but is 1.5.",
            Assert.Throws<AdapterFormatException>(() => LoraModel.Load(model, _folder["style.safetensors"], loading: new LoadOptions { Format = AdapterFormat.Diffusers("unet") })).Message);
    }

    [Fact]
    public void Many_patterns_decide_as_few_do()
    {
        var few = new PatternTable<int>([KeyValuePair.Create("(q|k)_proj", 1), KeyValuePair.Create("v_(a|b)", 2)]);
        var many = new PatternTable<int>([.. Enumerable.Range(0, 40).Select(i => KeyValuePair.Create($"(x|y){{{i + 1}}}z", -1)), .. few]);
        foreach (string path in new[] { "q_proj", "a.k_proj", "a.b.v_b", "v_c", "aq_proj" }) Assert.Equal(few.ValueFor(path, 0), many.ValueFor(path, 0));
        Assert.Equal(-1, many.ValueFor("a.xyxz", 0));
    }
}
