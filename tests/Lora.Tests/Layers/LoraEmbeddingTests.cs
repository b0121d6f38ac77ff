using Lora.Layers;
using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Layers;

/// <summary>Embeddings: the inverted initialisation, bare names in files, and the padding index.</summary>
public sealed class LoraEmbeddingTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void A_is_zero_and_B_is_drawn()
    {
        using var lora = new LoraEmbedding(nn.Embedding(90, 200, device: TestDevice.Current), rank: 64, alpha: 3);
        Assert.Equal([64, 90], lora.Adapter.A.shape);
        Assert.Equal([200, 64], lora.Adapter.B.shape);
        Assert.Equal(0, lora.Adapter.A.detach().abs().max().item<float>());
        Assert.InRange(lora.Adapter.B.detach().std().item<float>(), 0.97, 1.03);
        Assert.InRange(lora.Adapter.B.detach().mean().item<float>(), -0.03, 0.03);
        Assert.Equal((90, 200, "90→200", 3.0 / 64), (lora.Count, lora.Width, lora.Signature, lora.Adapter.Scale));
    }

    [Theory]
    [InlineData(ScalarType.Int64)]
    [InlineData(ScalarType.Int32)]
    public void It_adds_the_columns_that_the_indices_pick(ScalarType indices)
    {
        var layer = (Embedding)LayerKind.Embedding.Make(7, 5, ScalarType.Float64);
        using var lora = new LoraEmbedding(layer, rank: 2, alpha: 6, useRankStabilizedScaling: true);
        Noise.Fill(lora.Adapter.A, 3, 0.5);
        Noise.Fill(lora.Adapter.B, 4, 0.5);
        Tensor delta = lora.Adapter.ComputeDelta();
        Assert.Equal([7, 5], delta.shape);
        Adapted.AssertRelativelyClose(lora.Adapter.B.matmul(lora.Adapter.A).t().mul(6 / Math.Sqrt(2)), delta);
        foreach (long[] shape in new long[][] { [], [4], [2, 3], [2, 1, 3], [0, 3] })
        {
            Tensor input = arange(shape.Aggregate(1L, (n, size) => n * size), device: TestDevice.Current).mul(5).remainder(7).to(indices).view(shape);
            Tensor output = lora.call(input);
            Assert.Equal([.. shape, 5], output.shape);
            if (output.numel() > 0) Adapted.AssertRelativelyClose(layer.call(input).add(delta.index_select(0, input.flatten()).view([.. shape, 5])), output);
        }
    }

    [Fact]
    public void Dropout_is_not_applied()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, LayerKind.Embedding);
        LoraConfig config = LayerKind.Embedding.Config(model) with { Dropout = 0.9, TargetModules = ModuleSelector.EndsWith("_first") };
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, config);
        Tensor input = LayerKind.Embedding.Input(3, ScalarType.Float32), output = model.call(input);
        Adapted.AssertSame(output, model.call(input));
        model.eval();
        Adapted.AssertSame(output, model.call(input));
    }

    [Theory]
    [InlineData(2)]
    [InlineData(-5)]
    public void The_padding_column_counts_but_learns_nothing(long paddingIndex)
    {
        using var with = new LoraEmbedding((Embedding)LayerKind.EmbeddingWithPadding.Make(7, 5), rank: 2, alpha: 6, paddingIndex: paddingIndex);
        using var without = new LoraEmbedding((Embedding)LayerKind.Embedding.Make(7, 5), rank: 2, alpha: 6);
        Assert.Equal((2, null), (((EmbeddingAdapter)with.Adapter).PaddingIndex, ((EmbeddingAdapter)without.Adapter).PaddingIndex));
        Tensor input = LayerKind.Embedding.Input(3, ScalarType.Float32);
        foreach (LoraEmbedding lora in new[] { with, without })
        {
            Noise.Fill(lora.Adapter.A, 3, 0.5);
            Noise.Fill(lora.Adapter.B, 4, 0.5);
        }
        Adapted.AssertSame(without.call(input), with.call(input));
        with.call(input).square().sum().backward();
        without.call(input).square().sum().backward();
        Adapted.AssertSame(without.Adapter.B.grad!, with.Adapter.B.grad!);
        Tensor expected = without.Adapter.A.grad!.clone();
        Assert.True(expected.narrow(1, 2, 1).abs().sum().item<float>() > 0);
        expected.narrow(1, 2, 1).zero_();
        Adapted.AssertSame(expected, with.Adapter.A.grad!);
    }

    [Fact]
    public void Files_hold_bare_names()
    {
        using var folder = new TemporaryFolder();
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, LayerKind.Embedding);
        using (LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, LayerKind.Embedding.Config(model))) lora.Save(folder.Path);
        using (SafetensorsFile file = SafetensorsFile.Open(folder[AdapterFolder.WeightsName]))
        {
            Assert.Equal(
                ["base_model.model._first.lora_embedding_A [2, 7]", "base_model.model._first.lora_embedding_B [5, 2]", "base_model.model._second.lora_A.weight [2, 5]", "base_model.model._second.lora_B.weight [3, 2]"],
                file.Entries.Select(entry => $"{entry.Name} [{string.Join(", ", entry.Shape)}]").Order(StringComparer.Ordinal));
            // As PEFT has them in memory, with the adapter's name.
            var named = file.Entries.Select(entry => KeyValuePair.Create(entry.Name.Replace("embedding_A", "embedding_A.default", StringComparison.Ordinal).Replace("A.weight", "A.default.weight", StringComparison.Ordinal), file.ReadTensor(entry.Name))).ToArray();
            SafetensorsWriter.Save(folder["named"], named);
        }
        File.Move(folder["named"], folder[AdapterFolder.WeightsName], overwrite: true);
        using LoraModel<nn.Module<Tensor, Tensor>> loaded = LoraModel.Load(model, folder.Path);
        Assert.Equal(["the keys of adapter_model.safetensors still hold the name of an adapter, as base_model.model._first.lora_embedding_A.default does"], loaded.LoadReport);
    }

    // PEFT's flag is that of the last linear layer, whatever comes behind it.
    [Fact]
    public void The_file_says_how_the_last_linear_layer_stores_its_weight()
    {
        using var folder = new TemporaryFolder();
        using var model = new FieldModel(LayerKind.Transposed.Make(7, 5), LayerKind.Embedding.Make(5, 3));
        using LoraModel<FieldModel> lora = LoraModel.Wrap(model, LayerKind.Embedding.Config(model));
        lora.Save(folder.Path);
        Assert.True(PeftAdapterConfig.Load(folder[PeftAdapterConfig.FileName]).Fields["fan_in_fan_out"].GetBoolean());
    }

    [Fact]
    public void What_cannot_be_is_refused()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, LayerKind.Embedding);
        LoraConfig config = LayerKind.Embedding.Config(model);
        string Refusal(LoraConfig asked, Dictionary<string, long>? indices = null) =>
            Assert.Throws<ArgumentException>(() => LoraModel.Wrap(model, asked, new WrapOptions { PaddingIndices = indices ?? [] })).Message;
        Assert.Equal(
            "The model cannot be wrapped:\n  - '_first' is an Embedding, whose adapter cannot have a bias (lora_bias): leave it out of the targets, or adapt it under a configuration of its own (Parameter 'config')",
            Refusal(config with { UseLoraBias = true }));
        Assert.Equal(
            "The model cannot be wrapped:\n  - '_first' is an Embedding of 7 indices, of which 7 is none: correct its entry in PaddingIndices (Parameter 'config')",
            Refusal(config, new() { ["_first"] = 7 }));
        Assert.Equal(
            "The model cannot be wrapped:\n  - PaddingIndices has the key '_second', which names no embedding of the model; there is _first (Parameter 'config')",
            Refusal(config, new() { ["_first"] = -7, ["_second"] = 0 }));
        Assert.Contains("the pattern '(' is not a valid regular expression", Refusal(config, new() { ["("] = 0 }), StringComparison.Ordinal);
        Assert.Contains(
            "The padding index must be one of the 7 indices of the embedding.",
            Assert.Throws<ArgumentOutOfRangeException>(() => new LoraEmbedding(nn.Embedding(7, 5), paddingIndex: -8)).Message, StringComparison.Ordinal);
        Assert.All(model.parameters(), parameter => Assert.True(parameter.requires_grad));
    }

    [Fact]
    public void A_model_that_moves_to_another_type_goes_on()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, LayerKind.Embedding);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, LayerKind.Embedding.Config(model));
        Tensor input = LayerKind.Embedding.Input(3, ScalarType.Float32), before = model.call(input);
        model.to(ScalarType.Float64);
        Assert.True(Adapted.Difference(before, model.call(input)) < 1e-6);
        Tensor adapted = model.call(input);
        lora.Merge(new MergeOptions { KeepOriginal = true });
        Adapted.AssertRelativelyClose(adapted, model.call(input));
        model.to(ScalarType.Float32);
        lora.Unmerge();
        Adapted.AssertSame(before, model.call(input));
    }
}
