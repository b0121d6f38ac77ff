using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Parts;

/// <summary>Full copies of modules: which are meant by a name, and whose copy works when.</summary>
public sealed class SavedModuleTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public void Dispose()
    {
        _folder.Dispose();
        _scope.Dispose();
    }

    [Fact]
    public void Defect10_A_name_ends_at_a_dot()
    {
        using LoraModel<FieldModel> lora = LoraModel.Wrap(Model(), Config(["head"]));
        Assert.Equal(
            ["base_model.model._first.q.lora_A.weight", "base_model.model._first.q.lora_B.weight", "base_model.model._second.head.weight", "base_model.model._second.head.bias"],
            lora.AdapterTensors("default").Select(tensor => tensor.Key));
    }

    [Fact]
    public void A_file_of_PEFT_means_what_PEFT_made_of_it()
    {
        using FieldModel first = Model();
        using (LoraModel<FieldModel> lora = LoraModel.Wrap(first, Config(["head", "lm_head"])))
        {
            using (no_grad())
                foreach ((_, TorchSharp.Modules.Parameter parameter) in lora.AdapterTensors("default")) Noise.Fill(parameter, 7, 0.5);
            lora.Save(_folder.Path);
        }
        // What PEFT writes for "head", which it finds in lm_head too.
        PeftAdapterConfig file = PeftAdapterConfig.Load(_folder[PeftAdapterConfig.FileName]);
        file.With(file.ToLoraConfig() with { ModulesToSave = ["head"] }).Save(_folder[PeftAdapterConfig.FileName]);
        using FieldModel second = Model();
        using LoraModel<FieldModel> loaded = LoraModel.Load(second, _folder.Path);
        Assert.Equal(6, loaded.AdapterTensors("default").Count);
        Assert.Contains("base_model.model._first.lm_head.weight", loaded.AdapterTensors("default").Select(tensor => tensor.Key));
    }

    [Fact]
    public void Each_adapter_has_its_own_copy()
    {
        using var model = new TinyText();
        using LoraModel<TinyText> lora = PartAdapters.Wrap(model, PartAdapters.Config with { ModulesToSave = ["lm_head"] });
        lora.AddAdapter("b", PartAdapters.Config with { ModulesToSave = ["lm_head"] });
        PartAdapters.Fill(lora, "b", 900);
        Tensor a = PartAdapters.Output(model), b;
        using (lora.Use("b"))
        {
            b = PartAdapters.Output(model);
            using (lora.Use("default")) Adapted.AssertSame(a, PartAdapters.Output(model));
            Adapted.AssertSame(b, PartAdapters.Output(model));
        }
        Adapted.AssertSame(a, PartAdapters.Output(model));
        Assert.True(Adapted.Difference(a, b) > 0.05);

        // Each gets the gradients of its own passes, though one pass of the other came between.
        Tensor loss = model.call(TinyText.Tokens()).square().sum();
        lora.SetActive("b");
        loss.backward();
        Assert.All(lora.AdapterTensors("default"), tensor => Assert.NotNull(tensor.Value.grad));
        Assert.All(lora.AdapterTensors("b"), tensor => Assert.Null(tensor.Value.grad));
    }

    [Fact]
    public void What_is_merged_cannot_be_exchanged()
    {
        using var model = new TinyText();
        using LoraModel<TinyText> lora = PartAdapters.Wrap(model, PartAdapters.Config);
        lora.AddAdapter("b", PartAdapters.Config with { ModulesToSave = ["lm_head"] });
        lora.Merge();
        Assert.Equal(
            "Adapter 'default' is merged, so the weights that 'b' brings by modules_to_save cannot be exchanged: unmerge it first.",
            Assert.Throws<InvalidOperationException>(() => lora.SetActive("default", "b")).Message);
        lora.Unmerge();
        lora.SetActive("default", "b");
    }

    private static LoraConfig Config(string[] names) => new() { Rank = 2, Alpha = 3, TargetModules = ModuleSelector.EndsWith("q"), ModulesToSave = names };

    // _first has q and lm_head, _second has head and other.
    private static FieldModel Model() => new(new Pair("q", "lm_head"), new Pair("head", "other"));

    private sealed class Pair : nn.Module<Tensor, Tensor>
    {
        private readonly TorchSharp.Modules.ModuleDict<nn.Module<Tensor, Tensor>> _modules = new();

        internal Pair(params string[] names)
            : base(nameof(Pair))
        {
            foreach (string name in names)
            {
                nn.Module<Tensor, Tensor> layer = nn.Linear(7, 7);
                _modules.Add(name, layer);
                register_module(name, layer);
            }
        }

        public override Tensor forward(Tensor input) => _modules.Values.Aggregate(input, (x, layer) => layer.call(x));

        // By name, without the dictionary between.
        protected override void RegisterComponents()
        {
        }
    }
}
