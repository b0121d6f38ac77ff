using Lora.Layers;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Defects;

/// <summary>PEFT frees what it enables and freezes what it disables. Here only the user says what trains.</summary>
public sealed class TrainingFlagDefectTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void Defect03_Activity_and_gradients_are_apart()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model);
        lora.AddAdapter("wide", LoraConfig.AllLinear(rank: 3, alpha: 7));
        lora.AddAdapter("late", LoraConfig.AllLinear(rank: 4, alpha: 6) with { TargetModules = ModuleSelector.EndsWith("_second") });
        lora.SetTrainable(false, "wide");
        bool[] before = Flags(lora);
        Assert.Equal([true, false, true], before);
        lora.SetActive("wide");
        using (lora.Disable()) Assert.Equal(before, Flags(lora));
        lora.Merge();
        lora.Unmerge();
        Assert.Equal(before, Flags(lora));
        Assert.Equal(lora.Layers.Sum(layer => layer.Layer.Adapters.Count(a => a.AdapterName != "wide")) * 2, lora.TrainableParameters().Count);
    }

    [Fact]
    public void Defect03_An_adapter_that_was_loaded_frozen_stays_so_and_loading_another_changes_no_flag()
    {
        using (LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field))) lora.Save(_folder.Path);
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        using LoraModel<nn.Module<Tensor, Tensor>> loaded = LoraModel.Load(model, _folder.Path, new WrapOptions { IsTrainable = false });
        loaded.AddAdapter("trained", Adapted.Config);
        Assert.Equal([false, true], Flags(loaded));
        loaded.SetActive("trained", "default");
        using (loaded.Disable())
        {
        }
        loaded.LoadAdapter("more", _folder.Path);
        Assert.Equal([false, true], Flags(loaded)[..2]);
        model.call(TestModels.Input()).sum().backward();
        Assert.All(loaded.Layers, layer => Assert.Equal((true, false), (layer.Layer.Adapters["default"].B.grad is null, layer.Layer.Adapters["trained"].B.grad is null)));
    }

    private static bool[] Flags(LoraModel<nn.Module<Tensor, Tensor>> lora) =>
        [.. lora.AdapterNames.Select(name => lora.Layers.SelectMany(layer => layer.Layer.Adapters).Where(a => a.AdapterName == name).All(a => a.A.requires_grad && a.B.requires_grad))];
}
