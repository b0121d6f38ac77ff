using Lora.Layers;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Variants;

/// <summary>An adapter with DoRA rescales the base weight: beside other adapters it is merged from the weight of before, or refused.</summary>
public sealed class DoraMergingTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly Tensor _input = TestModels.Input(3, ScalarType.Float64);

    public static TheoryData<string[]> Orders => [new[] { "dora", "plain", "more" }, new[] { "plain", "more", "dora" }, new[] { "more", "dora", "plain" }];

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Orders))]
    public void Several_are_merged_from_the_weight_of_before(string[] order)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Several();
        lora.SetActive(order);
        IReadOnlyList<(string, string)> weights = Adapted.Weights(lora.Model);
        Tensor unmerged = lora.Model.call(_input);
        lora.Merge(new MergeOptions { KeepOriginal = true });
        AssertClose(unmerged, lora.Model.call(_input));
        lora.Unmerge();
        Assert.Equal(weights, Adapted.Weights(lora.Model));
        Adapted.AssertSame(unmerged, lora.Model.call(_input));

        lora.Merge(new MergeOptions { KeepOriginal = true });
        lora.Unmerge("plain");
        AssertClose(unmerged, lora.Model.call(_input));
        lora.Unmerge();
        AssertClose(unmerged, lora.MergeAndUnload().call(_input));
    }

    [Fact]
    public void Without_the_weight_of_before_several_are_not_merged()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Several();
        lora.SetActive("dora", "plain");
        IReadOnlyList<(string, string)> weights = Adapted.Weights(lora.Model);
        string Clause(string path, string text) => $"\n  - adapter '{(text.StartsWith("has", StringComparison.Ordinal) ? "plain" : "dora")}': '{path}' {text}";
        const string prefix = "Nothing was merged, since merging would change what the model computes:";
        const string several = "would hold several adapters, of which 'dora' (DoRA) needs the weight of before: set MergeOptions.KeepOriginal";
        Assert.Equal(
            prefix + Clause("_first", several) + Clause("_second", several), Assert.Throws<InvalidOperationException>(() => lora.Merge()).Message);
        const string active = "has 'dora' active as well, which rescales the base weight (DoRA): merge that too, or make it inactive";
        Assert.Equal(
            prefix + Clause("_first", active) + Clause("_second", active),
            Assert.Throws<InvalidOperationException>(() => lora.Merge(new MergeOptions { Adapters = ["plain"] })).Message);
        Assert.Equal(weights, Adapted.Weights(lora.Model));
    }

    [Fact]
    public void None_becomes_active_beside_a_merged_adapter()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Several();
        lora.SetActive("plain");
        lora.Merge();
        const string clash = "Adapter 'dora' rescales the base weight (DoRA), which would hold 'plain' as well: merge or unmerge both together.";
        Assert.Equal(clash, Assert.Throws<InvalidOperationException>(() => lora.SetActive("plain", "dora")).Message);
        Assert.Equal(clash, Assert.Throws<InvalidOperationException>(() => lora.Layers[0].Layer.Adapters.SetActive("plain", "dora")).Message);
        Assert.Equal(["plain"], lora.ActiveAdapters);
        lora.SetActive("plain", "twin");
        const string before = "holds 'plain' without the weight of before, which 'dora' (DoRA) needs: unmerge it, then merge both";
        lora.Unmerge();
        lora.SetActive("dora", "plain");
        lora.Merge(new MergeOptions { KeepOriginal = true });
        Assert.Equal(clash, Assert.Throws<InvalidOperationException>(() => lora.Unmerge("dora")).Message);
        Assert.Equal(["dora", "plain"], lora.MergedAdapters);
        lora.Unmerge();

        // Merging again is refused as usual.
        lora.SetActive("dora", "plain");
        lora.Merge(new MergeOptions { KeepOriginal = true });
        Assert.Equal(
            "Adapter 'dora' is merged into this layer already; unmerge it first.",
            Assert.Throws<InvalidOperationException>(() => lora.Layers[0].Layer.Adapters.Merge()).Message);
        lora.Unmerge();

        // Layer by layer such a state can still be asked for.
        AdapterSet first = lora.Layers[0].Layer.Adapters;
        first.SetActive("plain");
        first.Merge();
        Assert.Empty(MergeRules.Obstacles(lora.Layers[0].Layer, [first["twin"]], keepOriginal: false, peftCompatible: false, isFinal: false));
        Assert.Equal([(first["dora"], before)], MergeRules.Obstacles(lora.Layers[0].Layer, [first["dora"]], keepOriginal: true, peftCompatible: false, isFinal: true));
        first.Unmerge();
    }

    [Fact]
    public void A_fresh_one_does_not_start_from_a_weight_that_holds_another()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Several();
        lora.SetActive("plain");
        lora.Merge();
        LoraConfig config = Adapted.Config with { UseDora = true };
        string[] problems = [.. lora.Layers.Select(layer => $"'{layer.Path}' holds adapter 'plain' in its weight, but DoRA (use_dora) starts from the base weight: unmerge it first")];
        Assert.Equal(problems, LoraModel.Explain(lora.Model, config).Problems);
        Assert.Equal($"The model cannot be wrapped:\n  - {string.Join("\n  - ", problems)} (Parameter 'config')", Assert.Throws<ArgumentException>(() => lora.AddAdapter("late", config)).Message);
        lora.Unmerge();
        lora.AddAdapter("late", config);
    }

    [Fact]
    public void A_magnitude_of_zero_is_merged_where_the_weight_of_before_is_kept_or_not_needed()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Several();
        lora.SetActive("dora");
        using (no_grad()) lora.Layers[1].Layer.Adapter.FileTensors[^1].Value[1] = 0;
        Tensor unmerged = lora.Model.call(_input);
        Assert.Equal(
            "Nothing was merged, since merging would change what the model computes:\n  - adapter 'dora': '_second' has an output of which the adapter's magnitude is 0, so that unmerging could not bring the weight back: set MergeOptions.KeepOriginal",
            Assert.Throws<InvalidOperationException>(() => lora.Merge()).Message);
        lora.Merge(new MergeOptions { KeepOriginal = true });
        lora.Unmerge();
        Adapted.AssertSame(unmerged, lora.Model.call(_input));
        AssertClose(unmerged, lora.MergeAndUnload().call(_input));
    }

    [Fact]
    public void Evaluation_merges_all_that_are_active_and_training_brings_the_weights_back()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Several(new WrapOptions { MergeInEvaluation = true, AdapterName = "plain" });
        lora.SetActive("more", "plain", "dora");
        IReadOnlyList<(string, string)> weights = Adapted.Weights(lora.Model);
        Tensor unmerged = lora.Model.call(_input);
        for (int i = 0; i < 3; i++)
        {
            lora.Model.eval();
            Assert.Equal(3, lora.MergedAdapters.Count);
            AssertClose(unmerged, lora.Model.call(_input));
            lora.Model.train();
            Assert.Equal(weights, Adapted.Weights(lora.Model));
        }
    }

    [Fact]
    public void What_would_overflow_or_is_damaged_is_not_merged()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Several();
        lora.SetActive("plain", "dora");
        using (no_grad()) lora.Layers[0].Layer.Adapters["dora"].FileTensors[^1].Value[2] = double.NaN;
        IReadOnlyList<(string, string)> weights = Adapted.Weights(lora.Model);
        Assert.StartsWith("Merging adapter 'dora' after 'plain' would put a NaN", Assert.Throws<InvalidOperationException>(() => lora.Merge(new MergeOptions { KeepOriginal = true })).Message, StringComparison.Ordinal);
        Assert.Equal(weights, Adapted.Weights(lora.Model));
    }

    [Fact]
    public void A_model_that_is_moved_while_merged_comes_back()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Several();
        lora.SetActive("dora");
        Tensor unmerged = lora.Model.call(_input);
        lora.Merge();
        lora.Model.to(ScalarType.Float32);
        lora.Unmerge();
        Assert.InRange(Adapted.Difference(unmerged, lora.Model.call(_input.to(ScalarType.Float32))), 0, 1e-5);
    }

    // A bias that only one of two merged adapters brings stays as it is when the other is unmerged.
    [Fact]
    public void Unmerging_one_adapter_leaves_the_other_ones_bias_once()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Several();
        lora.AddAdapter("bias", Adapted.Config with { UseLoraBias = true });
        foreach (AdapterLayer layer in lora.Layers)
            foreach ((_, Parameter parameter) in layer.Layer.Adapters["bias"].FileTensors) Noise.Fill(parameter, 90, 0.5);
        lora.SetActive("plain", "bias");
        Tensor both = lora.Model.call(_input);
        lora.Merge(new MergeOptions { KeepOriginal = true });
        lora.Unmerge("plain");
        AssertClose(both, lora.Model.call(_input));
    }

    /// <summary>Two layers with the adapters plain and twin (LoRA), dora and more (DoRA).</summary>
    private static LoraModel<nn.Module<Tensor, Tensor>> Several(WrapOptions? options = null)
    {
        LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(TestModels.Make(Holder.Field, type: ScalarType.Float64), Adapted.Config, options ?? new WrapOptions { AdapterName = "plain" });
        lora.AddAdapter("twin", Adapted.Config);
        lora.AddAdapter("dora", Adapted.Config with { UseDora = true });
        lora.AddAdapter("more", Adapted.Config with { Rank = 3, UseDora = true });
        int seed = 50;
        foreach (LoraAdapter adapter in lora.Layers.SelectMany(layer => layer.Layer.Adapters))
            foreach ((_, Parameter parameter) in adapter.FileTensors) Noise.Fill(parameter, seed++, 0.6);
        return lora;
    }

    private static void AssertClose(Tensor expected, Tensor actual) => Assert.InRange(Adapted.Difference(expected, actual), 0, 1e-13);
}
