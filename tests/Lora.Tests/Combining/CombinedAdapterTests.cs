using Lora.Layers;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Combining;

/// <summary>What comes out is an adapter like any other.</summary>
public sealed class CombinedAdapterTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Exact => ["cat", "svd"];

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [MemberData(nameof(Exact))]
    public void Layers_that_lack_an_adapter_combine_the_others(string name)
    {
        nn.Module<Tensor, Tensor> model = Blends.Model();
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Blends.OfSeveralRanks(model);
        CombineMethod method = CombineMethod.All.Single(method => method.Name == name);
        CombineResult result = lora.Combine("blend", [("a", 0.5), ("c", -2), ("b", 0.75)], new CombineOptions { Method = method, Rank = method.ChoosesRank ? 6 : null });
        Assert.Equal("blend", result.Name);
        // 2 + 3 on the first; on the second 2 + 3 + 1, but that layer has 3 outputs only, which is all that a decomposition needs.
        Assert.Equal([("_first", 5), ("_second", name == "cat" ? 6 : 3)], result.Layers.Select(layer => (layer.Path, layer.Rank)));
        Assert.Equal(0, result.TruncationError, 1e-12);
        Tensor First(string adapter) => Blends.Adapter(lora, "_first", adapter).ComputeDelta();
        Tensor Second(string adapter) => Blends.Adapter(lora, "_second", adapter).ComputeDelta();
        Adapted.AssertClose(First("a").mul(0.5).add(First("b").mul(0.75)), First("blend"));
        Assert.True(Adapted.Difference(Second("a").mul(0.5).add(Second("b").mul(0.75)).sub(Second("c").mul(2)), Second("blend")) < 3e-6);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void It_is_saved_and_loaded_with_its_ranks(bool peft)
    {
        nn.Module<Tensor, Tensor> model = Blends.Model();
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Blends.OfSeveralRanks(model);
        lora.Combine("blend", [("a", 0.5), ("c", -2), ("b", 0.75)], new CombineOptions { Method = CombineMethod.Cat, PeftCompatible = peft });
        LoraConfig config = lora.ConfigOf("blend");
        if (peft)
        {
            // Zeros fill the rank that all layers have.
            Assert.Equal((6, 6.0), (config.Rank, config.Alpha));
            Assert.Empty(config.RankPattern);
            Assert.All(Blends.Numbers(Blends.Adapter(lora, "_first", "blend").A)[(5 * TestModels.In)..], value => Assert.Equal(0, value));
        }
        else
        {
            Assert.Equal((6, 6.0, false), (config.Rank, config.Alpha, config.UseRankStabilizedScaling));
            Assert.Equal([KeyValuePair.Create("^_first", 5)], config.RankPattern);
            Assert.Equal([KeyValuePair.Create("^_first", 5.0)], config.AlphaPattern);
        }
        Assert.All(lora.Layers, layer => Assert.Equal(1, layer.Layer.Adapters["blend"].Scale));
        Tensor input = TestModels.Input(3);
        lora.SetActive("blend");
        Tensor output = model.call(input);
        lora.SaveAdapter("blend", _folder["blend"]);
        lora.LoadAdapter("again", _folder["blend"]);
        lora.SetActive("again");
        Adapted.AssertSame(output, model.call(input));
        Assert.Equal(config, lora.ConfigOf("again"));
    }

    [Fact]
    public void It_is_inactive_frozen_and_independent_of_its_sources()
    {
        nn.Module<Tensor, Tensor> model = Blends.Model();
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Blends.OfOneRank(model);
        Tensor input = TestModels.Input(), before = model.call(input);
        lora.Combine("blend", [("b", 0.5), ("c", 0.5)]);
        Assert.Equal(["a"], lora.ActiveAdapters);
        Assert.Equal(["a", "b", "c", "blend"], lora.AdapterNames);
        Adapted.AssertSame(before, model.call(input));
        Assert.All(lora.Layers, layer => Assert.False(layer.Layer.Adapters["blend"].A.requires_grad || layer.Layer.Adapters["blend"].B.requires_grad));
        Assert.All(lora.Layers, layer => Assert.True(layer.Layer.Adapters["b"].A.requires_grad));
        string Values() => string.Concat(Blends.Numbers(Blends.Adapter(lora, "_second", "blend").B));
        string values = Values();
        lora.SetScale("b", 3);
        lora.DeleteAdapter("c");
        Assert.Equal(values, Values());
        lora.Combine("trained", [("b", 1)], new CombineOptions { IsTrainable = true });
        Assert.True(Blends.Adapter(lora, "_first", "trained").A.requires_grad);
    }

    [Theory]
    [InlineData(Holder.TypedField)]
    [InlineData(Holder.Sequential)]
    [InlineData(Holder.SharedAcrossParents)]
    public void However_layers_are_held_the_terms_add_up(Holder holder)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(holder);
        LoraConfig last = LoraConfig.AllLinear(rank: 2, alpha: 3);
        if (holder != Holder.SharedAcrossParents) last = last with { TargetModules = ModuleSelector.Regex(".*second") };
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Blends.Wrap(model, LoraConfig.AllLinear(rank: 2, alpha: 5), last);
        lora.Combine("blend", [("a", 1), ("b", 1)], new CombineOptions { Method = CombineMethod.Cat });
        Tensor input = TestModels.Input(3);
        lora.SetActive("a", "b");
        Tensor both = model.call(input);
        lora.SetActive("blend");
        Adapted.AssertClose(both, model.call(input));
    }

    [Fact]
    public void Sources_may_be_merged_or_switched_off()
    {
        nn.Module<Tensor, Tensor> model = Blends.Model();
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Blends.OfOneRank(model);
        lora.Combine("plain", [("a", 0.5), ("b", 0.5)], new CombineOptions { Method = CombineMethod.Cat });
        lora.Merge();
        lora.Combine("merged", [("a", 0.5), ("b", 0.5)], new CombineOptions { Method = CombineMethod.Cat });
        lora.Unmerge();
        using (lora.Disable()) lora.Combine("off", [("a", 0.5), ("b", 0.5)], new CombineOptions { Method = CombineMethod.Cat });
        foreach (string name in new[] { "merged", "off" }) Assert.Equal(Blends.Numbers(Blends.Adapter(lora, "_first", "plain").A), Blends.Numbers(Blends.Adapter(lora, "_first", name).A));
    }

    [Fact]
    public void Targets_are_those_of_all()
    {
        nn.Module<Tensor, Tensor> model = Blends.Model();
        LoraConfig two = LoraConfig.AllLinear(rank: 2);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Blends.Wrap(
            model,
            two with { TargetModules = ModuleSelector.EndsWith("_first") },
            two with { TargetModules = ModuleSelector.EndsWith("_second") },
            two with { TargetModules = ModuleSelector.Regex("_f.*") },
            two with { TargetModules = ModuleSelector.Regex("_s.*") },
            two with { TargetModules = ModuleSelector.Regex("_.*"), ExcludedModules = ModuleSelector.EndsWith("_first") });
        LoraConfig Combined(params string[] names)
        {
            lora.Combine("blend", [.. names.Select(name => (name, 1.0))], new CombineOptions { Method = CombineMethod.Cat });
            LoraConfig config = lora.ConfigOf("blend");
            Assert.Equal(lora.Layers.Where(layer => names.Any(layer.Layer.Adapters.Contains)).Select(layer => layer.Path), lora.Layers.Where(layer => layer.Layer.Adapters.Contains("blend")).Select(layer => layer.Path));
            lora.DeleteAdapter("blend");
            return config;
        }
        Assert.Equal(ModuleSelector.EndsWith("_first", "_second"), Combined("a", "b").TargetModules);
        Assert.Equal(ModuleSelector.Regex("(_f.*)|(_s.*)"), Combined("c", "d").TargetModules);
        Assert.Equal(ModuleSelector.EndsWith("_first", "_second"), Combined("a", "d").TargetModules);
        // What the first leaves out may be another's target, so that leaving out does not come along.
        LoraConfig excluding = Combined("e", "a");
        Assert.Equal((ModuleSelector.EndsWith("_first", "_second"), null), (excluding.TargetModules, excluding.ExcludedModules));
    }

    [Theory]
    [InlineData("linear")]
    [InlineData("svd")]
    [InlineData("ties_svd")]
    [InlineData("dare_ties")]
    public void Half_precision_is_combined_in_float32(string name)
    {
        CombineMethod method = CombineMethod.All.Single(method => method.Name == name);
        var options = new CombineOptions { Method = method, Density = method.Blend.Prunes ? 0.5 : null };
        nn.Module<Tensor, Tensor> narrow = Blends.Model(ScalarType.BFloat16), wide = Blends.Model(ScalarType.BFloat16).to(ScalarType.Float32);
        using LoraModel<nn.Module<Tensor, Tensor>> half = Blends.OfOneRank(narrow), full = Blends.OfOneRank(wide);
        // The adapters too, which are float32 over a half base at first.
        narrow.to(ScalarType.BFloat16);
        foreach (AdapterLayer layer in full.Layers)
        {
            using var noGrad = no_grad();
            foreach (LoraAdapter adapter in layer.Layer.Adapters)
            {
                adapter.A.copy_(Blends.Adapter(half, layer.Path, adapter.AdapterName).A);
                adapter.B.copy_(Blends.Adapter(half, layer.Path, adapter.AdapterName).B);
            }
        }
        Assert.Equal(ScalarType.BFloat16, Blends.Adapter(half, "_first", "a").A.dtype);
        half.Combine("blend", [("a", 0.5), ("b", -0.75)], options);
        full.Combine("blend", [("a", 0.5), ("b", -0.75)], options);
        foreach (string path in new[] { "_first", "_second" })
        {
            Assert.Equal(ScalarType.Float32, Blends.Adapter(half, path, "blend").A.dtype);
            Adapted.AssertSame(Blends.Adapter(full, path, "blend").A, Blends.Adapter(half, path, "blend").A);
            Adapted.AssertSame(Blends.Adapter(full, path, "blend").B, Blends.Adapter(half, path, "blend").B);
        }
    }
}
