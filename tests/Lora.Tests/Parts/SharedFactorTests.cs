using Lora.Layers;
using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Parts;

/// <summary>One adapter for a token embedding and the head over its weight: they stay tied, in the forward pass, in training, in the file and merged.</summary>
public sealed class SharedFactorTests : IDisposable
{
    private const double Scale = 2.5;
    private static readonly LoraConfig _config = PartAdapters.Config with { TargetModules = ModuleSelector.EndsWith("q_proj", "tokens"), EnsureWeightTying = true };

    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string, string> Targets => new()
    {
        { "q_proj tokens", "[q_proj, tokens]" },
        { "q_proj lm_head", "[q_proj, tokens]" },
        { "lm_head tokens q_proj", "[tokens, q_proj]" },
        { "/q_proj|lm_head", "/(?:q_proj|lm_head|^tokens$)/" },
        { "/q_proj|tokens", "/q_proj|tokens/" },
    };

    public void Dispose()
    {
        _folder.Dispose();
        _scope.Dispose();
    }

    [Theory]
    [MemberData(nameof(Targets))]
    public void Whichever_is_named_the_embedding_has_it_and_the_file_has_both(string targets, string saved)
    {
        using TinyText model = new TinyText(tie: true), other = new TinyText(tie: true);
        LoraConfig config = _config with { TargetModules = targets[0] == '/' ? ModuleSelector.Regex(targets[1..]) : ModuleSelector.EndsWith(targets.Split(' ')) };
        using LoraModel<TinyText> lora = PartAdapters.Wrap(model, config);
        Assert.Equal(["tokens", "q_proj"], lora.Layers.Select(layer => layer.Path));
        Assert.Equal(saved, lora.Config.TargetModules!.ToString());
        Assert.Equal(4, lora.TrainableParameters().Count);
        lora.Save(_folder.Path);
        using (SafetensorsFile file = SafetensorsFile.Open(_folder[AdapterFolder.WeightsName]))
        {
            Assert.Equal(
                [
                    "base_model.model.lm_head.lora_A.weight F32 [2, 5]",
                    "base_model.model.lm_head.lora_B.weight F32 [11, 2]",
                    "base_model.model.q_proj.lora_A.weight F32 [2, 5]",
                    "base_model.model.q_proj.lora_B.weight F32 [5, 2]",
                    "base_model.model.tokens.lora_embedding_A F32 [2, 11]",
                    "base_model.model.tokens.lora_embedding_B F32 [5, 2]",
                ],
                file.Entries.Select(entry => entry.ToString()).Order(StringComparer.Ordinal));
            Adapted.AssertSame(lora.Layers[0].Layer.Adapter.B.t(), file.ReadTensor("base_model.model.lm_head.lora_A.weight", TestDevice.Current));
            Adapted.AssertSame(lora.Layers[0].Layer.Adapter.A.t(), file.ReadTensor("base_model.model.lm_head.lora_B.weight", TestDevice.Current));
        }
        using LoraModel<TinyText> loaded = LoraModel.Load(other, _folder.Path);
        Assert.Empty(loaded.LoadReport);
        Adapted.AssertSame(PartAdapters.Output(model), PartAdapters.Output(other));
        Assert.Equal(["tokens", "q_proj"], loaded.Layers.Select(layer => layer.Path));
        Assert.Contains(new ExplainedPart("ensure_weight_tying", "lm_head", 0, 0), LoraModel.Explain(new TinyText(tie: true), config).Parts);
    }

    [Fact]
    public void Output_and_gradients_are_those_of_one_changed_weight()
    {
        using var model = new TinyText(tie: true, ScalarType.Float64);
        using LoraModel<TinyText> lora = PartAdapters.Wrap(model, _config);
        LoraAdapter pair = lora.Layers[0].Layer.Adapter, linear = lora.Layers[1].Layer.Adapter;
        Tensor output = model.call(TinyText.Tokens());
        output.square().sum().backward();

        Parameter Leaf(Tensor tensor) => new(tensor.detach().clone());
        Parameter a = Leaf(pair.A), b = Leaf(pair.B);
        Dictionary<string, Tensor> base_ = model.state_dict();
        Tensor table = base_["tokens.base_layer.weight"].add(b.matmul(a).t().mul(Scale));
        Tensor q = base_["q_proj.base_layer.weight"].add(linear.B.detach().matmul(linear.A.detach()).mul(Scale));
        Tensor hidden = nn.functional.linear(table.index_select(0, TinyText.Tokens().flatten()).view(2, 4, TinyText.Width), q, base_["q_proj.base_layer.bias"]).tanh();
        Tensor expected = nn.functional.linear(nn.functional.layer_norm(hidden, [TinyText.Width], base_["norm.weight"], base_["norm.bias"]), table);
        Adapted.AssertRelativelyClose(expected, output);
        expected.square().sum().backward();
        Assert.True(Adapted.Difference(a.grad!, pair.A.grad!) < 1e-11 && Adapted.Difference(b.grad!, pair.B.grad!) < 1e-11);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Merged_they_are_still_tied(bool keepOriginal)
    {
        using var model = new TinyText(tie: true, ScalarType.Float64);
        Tensor plain = PartAdapters.Output(model);
        LoraModel<TinyText> lora = PartAdapters.Wrap(model, _config);
        lora.AddAdapter("more", _config);
        PartAdapters.Fill(lora, "more", 300);
        lora.SetActive("default", "more");
        Tensor adapted = PartAdapters.Output(model);
        lora.Merge(new MergeOptions { KeepOriginal = keepOriginal, Adapters = ["more"] });
        Adapted.AssertRelativelyClose(adapted, PartAdapters.Output(model));
        lora.Merge(new MergeOptions { KeepOriginal = keepOriginal, Adapters = ["default"] });
        Adapted.AssertRelativelyClose(adapted, PartAdapters.Output(model));
        lora.Unmerge();
        Adapted.AssertRelativelyClose(adapted, PartAdapters.Output(model));
        using (lora.Disable()) Assert.True(Adapted.Difference(plain, PartAdapters.Output(model)) < 1e-12);
        lora.SetScale("more", 0);
        using (lora.Use("default"))
        {
            Tensor alone = PartAdapters.Output(model);
            lora.SetActive("default", "more");
            Adapted.AssertRelativelyClose(alone, PartAdapters.Output(model));
        }
        lora.ResetScale();
        lora.SetActive("default", "more");
        lora.MergeAndUnload();
        Adapted.AssertRelativelyClose(adapted, PartAdapters.Output(model));
    }

    [Fact]
    public void A_fresh_one_is_drawn_for_the_head_and_drops_there_alone()
    {
        using var model = new TinyText(tie: true);
        using LoraModel<TinyText> lora = LoraModel.Wrap(model, _config with { Rank = 40, Dropout = 1 });
        LoraAdapter pair = lora.Layers[0].Layer.Adapter;
        double bound = 1 / Math.Sqrt(TinyText.Width);
        Assert.Equal(0, pair.A.abs().max().item<float>());
        Assert.InRange(pair.B.abs().max().item<float>(), bound * 0.9, bound);
        PartAdapters.Fill(lora, "default", 100);
        model.train();
        Tensor dropped = PartAdapters.Output(model);
        model.eval();
        Assert.True(Adapted.Difference(dropped, PartAdapters.Output(model)) > 0.05);
    }

    [Fact]
    public void Files_whose_layers_were_trained_apart_or_that_lack_one_are_refused()
    {
        using (LoraModel<TinyText> lora = PartAdapters.Wrap(new TinyText(tie: true), _config)) lora.Save(_folder.Path);
        void Rewrite(Func<string, Tensor, Tensor?> change)
        {
            using SafetensorsFile file = SafetensorsFile.Open(_folder[AdapterFolder.WeightsName]);
            SafetensorsWriter.Save(
                _folder[AdapterFolder.WeightsName],
                file.Entries.Select(entry => (entry.Name, Value: change(entry.Name, file.ReadTensor(entry.Name)))).Where(pair => pair.Value is not null).Select(pair => KeyValuePair.Create(pair.Name, pair.Value!)));
        }
        string[] Problems() => [.. Assert.Throws<AdapterFormatException>(() => LoraModel.Load(new TinyText(tie: true), _folder.Path)).Problems];
        Rewrite((name, value) => name == "base_model.model.lm_head.lora_B.weight" ? value.mul(1.5) : value);
        Assert.Equal(
            ["tensor base_model.model.lm_head.lora_B.weight is not the transpose of base_model.model.tokens.lora_embedding_A, though ensure_weight_tying makes the two layers share it: they were trained apart, and only a model whose layers are not tied can have both"],
            Problems());
        Rewrite((name, value) => name == "base_model.model.lm_head.lora_B.weight" ? null : value);
        Assert.Equal(["missing tensor base_model.model.lm_head.lora_B.weight, shape [11, 2], which ensure_weight_tying asks for"], Problems());
    }

    /// <summary>PEFT saves the base weight of both where embeddings are saved.</summary>
    [Fact]
    public void The_base_weight_is_there_twice_where_it_is_saved()
    {
        LoraConfig config = _config with { SaveEmbeddings = true };
        using TinyText model = new TinyText(tie: true), other = new TinyText(tie: true);
        using LoraModel<TinyText> lora = PartAdapters.Wrap(model, config);
        lora.Save(_folder.Path);
        using (SafetensorsFile file = SafetensorsFile.Open(_folder[AdapterFolder.WeightsName]))
            Adapted.AssertSame(file.ReadTensor("base_model.model.tokens.base_layer.weight"), file.ReadTensor("base_model.model.lm_head.base_layer.weight"));
        using LoraModel<TinyText> loaded = LoraModel.Load(other, _folder.Path);
        Adapted.AssertSame(PartAdapters.Output(model), PartAdapters.Output(other));
        loaded.Save(_folder["again"]);
        Assert.Equal(File.ReadAllBytes(_folder[AdapterFolder.WeightsName]), File.ReadAllBytes(Path.Combine(_folder["again"], AdapterFolder.WeightsName)));
    }

    [Fact]
    public void What_cannot_be_shared_is_refused()
    {
        using var model = new TinyText(tie: true);
        LoraConfig uneven = _config with { RankPattern = new Dictionary<string, int> { ["tokens"] = 3 } };
        Assert.Equal(
            "The model cannot be wrapped:\n  - ensure_weight_tying gives 'tokens' and 'lm_head' one adapter, but the patterns ask for rank 3 and alpha 5 on one, rank 2 and alpha 5 on the other (Parameter 'config')",
            Assert.Throws<ArgumentException>(() => LoraModel.Wrap(model, uneven)).Message);
        Assert.Equal(
            "The model cannot be wrapped:\n  - ensure_weight_tying gives 'lm_head' the adapter of 'tokens', which has none: make that a target too, or set ensure_weight_tying to false (Parameter 'config')",
            Assert.Throws<ArgumentException>(() => LoraModel.Wrap(model, _config with { TargetModules = ModuleSelector.EndsWith("q_proj", "lm_head", "tokens"), ExcludedModules = ModuleSelector.EndsWith("tokens") })).Message);
    }

    [Fact]
    public void Samples_without_the_adapter_have_the_base_models_head()
    {
        using var model = new TinyText(tie: true);
        Tensor plain = PartAdapters.Output(model);
        using LoraModel<TinyText> lora = PartAdapters.Wrap(model, _config);
        Tensor adapted = PartAdapters.Output(model);
        using (lora.UsePerSample("default", LoraModel.BaseAdapter)) Adapted.AssertClose(cat([adapted.narrow(0, 0, 1), plain.narrow(0, 1, 1)], 0), PartAdapters.Output(model));
        using (lora.UsePerSample(LoraModel.BaseAdapter, "default")) Adapted.AssertClose(cat([plain.narrow(0, 0, 1), adapted.narrow(0, 1, 1)], 0), PartAdapters.Output(model));
    }

    [Fact]
    public void An_embedding_whose_head_has_no_part_in_the_adapter_is_not_merged()
    {
        using var model = new TinyText(tie: true);
        using LoraModel<TinyText> lora = PartAdapters.Wrap(model, _config with { EnsureWeightTying = false });
        Tensor adapted = PartAdapters.Output(model);
        Assert.Equal(
            "The weight of 'tokens' is that of the output head 'lm_head' too: merging would change the head, which the adapter does not. Keep it unmerged, or train one with EnsureWeightTying (ensure_weight_tying).",
            Assert.Throws<InvalidOperationException>(() => lora.Merge()).Message);
        Adapted.AssertSame(adapted, PartAdapters.Output(model));
    }
}
