using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Parts;

/// <summary>Base weights of embedding and head that go into an adapter's file.</summary>
public sealed class SavedEmbeddingTests : IDisposable
{
    private static readonly LoraConfig _config = new() { Rank = 2, Alpha = 5, TargetModules = ModuleSelector.EndsWith("q_proj", "lm_head") };
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public void Dispose()
    {
        _folder.Dispose();
        _scope.Dispose();
    }

    [Fact]
    public void A_targeted_head_is_saved_with_the_base_weights()
    {
        using var model = new TinyText();
        using LoraModel<TinyText> lora = LoraModel.Wrap(model, _config);
        string[] adapter = ["q_proj.lora_A.weight", "q_proj.lora_B.weight", "lm_head.lora_A.weight", "lm_head.lora_B.weight"];
        Assert.Equal([.. adapter, "tokens.weight", "lm_head.base_layer.weight"], lora.AdapterTensors("default").Select(tensor => tensor.Key["base_model.model.".Length..]));
        Assert.Equal(4, lora.TrainableParameters().Count);
        lora.Unload();
        using LoraModel<TinyText> without = LoraModel.Wrap(model, _config with { SaveEmbeddings = false });
        Assert.Equal(4, without.AdapterTensors("default").Count);
        without.Unload();
        using LoraModel<TinyText> asked = LoraModel.Wrap(model, PartAdapters.Config with { SaveEmbeddings = true });
        Assert.Equal("base_model.model.lm_head.weight", asked.AdapterTensors("default")[^1].Key);
    }

    [Fact]
    public void A_file_brings_its_base_weights_along_for_as_long_as_the_adapter_is_active()
    {
        using var model = new TinyText();
        Tensor output;
        using (LoraModel<TinyText> lora = LoraModel.Wrap(model, _config))
        {
            using (no_grad())
            {
                foreach (AdapterLayer layer in lora.Layers) Noise.Fill(layer.Layer.Adapter.B, 3, 0.5);
                ((TorchSharp.Modules.Linear)lora.Layers[1].Layer.BaseLayer).weight!.mul_(0.5);
            }
            output = PartAdapters.Output(model);
            lora.Save(_folder.Path);
        }
        using var other = new TinyText();
        Tensor before = PartAdapters.Output(other);
        using LoraModel<TinyText> loaded = LoraModel.Load(other, _folder.Path);
        Adapted.AssertSame(output, PartAdapters.Output(other));
        using (loaded.Disable()) Adapted.AssertSame(before, PartAdapters.Output(other));
        Assert.Equal(4, loaded.TrainableParameters().Count);
        loaded.Save(_folder["again"]);
        Assert.Equal(File.ReadAllBytes(_folder["adapter_model.safetensors"]), File.ReadAllBytes(Path.Combine(_folder["again"], "adapter_model.safetensors")));
        loaded.Merge();
        Assert.Equal(
            "Adapter 'default' is saved with the base weights of the embeddings, which adapter 'default' is merged into: unmerge it first.",
            Assert.Throws<InvalidOperationException>(() => loaded.Save(_folder["merged"])).Message);
    }
}
