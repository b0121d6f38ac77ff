using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models;

/// <summary>Layers that are run again with adapters of their own.</summary>
public sealed class LayerReplicationTests : IDisposable
{
    private static readonly LoraConfig _config = new()
    {
        Rank = 2,
        Alpha = 5,
        TargetModules = ModuleSelector.EndsWith("q_proj", "down_proj"),
        LayerReplication = [new(0, 2), new(1, 3), new(0, 1)],
    };

    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly LlamaModel _model = TinyLlama.Make(Shape);
    private readonly Tensor _tokens = tensor(new long[,] { { 1, 7, 3, 12 } }, device: TestDevice.Current);

    private static LlamaConfig Shape => new()
    {
        VocabularySize = 19,
        HiddenSize = 12,
        IntermediateSize = 14,
        Layers = 3,
        Heads = 2,
        KeyValueHeads = 1,
        HeadDimension = 6,
    };

    public void Dispose()
    {
        _model.Dispose();
        _scope.Dispose();
    }

    [Fact]
    public void The_stack_is_rebuilt_and_given_back()
    {
        string[] names = [.. _model.named_parameters().Select(p => p.name)];
        Tensor before = Output();
        LoraModel<LlamaModel> lora = LoraModel.Wrap(_model, _config);
        Assert.Equal(5, _model.LayerCount);
        Assert.Equal(10, lora.Layers.Count);
        Assert.Equal("model.layers.4.mlp.down_proj", lora.Layers[^1].Path);
        Tensor deeper = Output();
        Assert.False(deeper.allclose(before, 1e-3, 1e-3));

        // The same layers one after the other in a model that has five.
        using var five = TinyLlama.Make(Shape with { Layers = 5 });
        using (no_grad())
        {
            Dictionary<string, Tensor> own = _model.state_dict();
            foreach ((string name, TorchSharp.Modules.Parameter parameter) in five.named_parameters())
                parameter.copy_(own[name.Replace("q_proj.", "q_proj.base_layer.", StringComparison.Ordinal).Replace("down_proj.", "down_proj.base_layer.", StringComparison.Ordinal)]);
            Assert.True(five.call(new CausalInput(_tokens)).allclose(deeper, 1e-5, 1e-6));
        }

        using (lora.Disable())
        {
            Assert.Equal(3, _model.LayerCount);
            Assert.True(Output().allclose(before, 0, 0));
        }
        Assert.True(Output().allclose(deeper, 0, 0));
        lora.Unload();
        Assert.Equal(names, _model.named_parameters().Select(p => p.name));
        Assert.True(Output().allclose(before, 0, 0));
    }

    [Fact]
    public void Copies_share_their_weights_and_train_apart()
    {
        long own = _model.parameters().Sum(parameter => parameter.numel());
        using LoraModel<LlamaModel> lora = LoraModel.Wrap(_model, _config);
        // Elsewhere TorchSharp gives no address by which copies could be told.
        if (TestDevice.Current.type == DeviceType.CPU) Assert.Equal(own + lora.TrainableParameters().Sum(parameter => parameter.numel()), lora.ParameterCounts.Total);
        using (no_grad())
            foreach (AdapterLayer layer in lora.Layers) layer.Layer.Adapter.B.normal_();
        _model.call(new CausalInput(_tokens)).square().sum().backward();
        Tensor[] gradients = [.. lora.Layers.Where(layer => layer.Path.EndsWith("q_proj", StringComparison.Ordinal)).Select(layer => layer.Layer.Adapter.A.grad!)];
        Assert.Equal(5, gradients.Length);
        Assert.False(gradients[1].allclose(gradients[2], 1e-3, 1e-6));
    }

    [Fact]
    public void The_cache_has_room_for_every_layer()
    {
        using LoraModel<LlamaModel> lora = LoraModel.Wrap(_model, _config);
        var options = new GenerationOptions { MaxNewTokens = 4, EndTokenIds = [], PadTokenId = 0 };
        Assert.Equal(
            _model.Generate(_tokens, options with { UseCache = false }, cancellationToken: TestContext.Current.CancellationToken).cpu().data<long>().ToArray(),
            _model.Generate(_tokens, options with { UseCache = true }, cancellationToken: TestContext.Current.CancellationToken).cpu().data<long>().ToArray());
    }

    [Fact]
    public void Merging_is_refused()
    {
        using LoraModel<LlamaModel> lora = LoraModel.Wrap(_model, _config);
        const string Reason = "The layers are replicated (layer_replication): copies of a layer share one weight, and merging would add the change of each copy to all of them. Keep the adapter unmerged, or give the copies weights of their own.";
        Assert.Equal(Reason, Assert.Throws<InvalidOperationException>(() => lora.Merge()).Message);
        Assert.Equal(Reason, Assert.Throws<InvalidOperationException>(() => lora.MergeAndUnload()).Message);
    }

    [Fact]
    public void What_cannot_be_stacked_is_refused_and_the_stack_is_as_it_was()
    {
        Assert.Equal(
            "The model cannot be wrapped:\n  - layer_replication asks for layers up to 3, but the model has 3, counted from 0 (Parameter 'config')",
            Assert.Throws<ArgumentException>(() => LoraModel.Wrap(_model, _config with { LayerReplication = [new(1, 4)] })).Message);
        Assert.Throws<ArgumentException>(() => LoraModel.Wrap(_model, _config with { TargetModules = ModuleSelector.EndsWith("q_porj") }));
        Assert.Equal(3, _model.LayerCount);
        Assert.Equal(10, LoraModel.Explain(_model, _config).Layers.Count);
        Assert.Equal(3, _model.LayerCount);
        using nn.Module<Tensor, Tensor> other = nn.Sequential(("fc", nn.Linear(2, 3)));
        Assert.Contains(
            "layer_replication asks for other layers, but a Sequential cannot rebuild its own: it must be an IReplicatesLayers",
            Assert.Throws<ArgumentException>(() => LoraModel.Wrap(other, _config)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Targets_that_are_not_given_are_those_of_a_Llama()
    {
        using LoraModel<LlamaModel> lora = LoraModel.Wrap(_model, new LoraConfig { Rank = 2 });
        Assert.Equal(["q_proj", "v_proj"], lora.Layers.Select(layer => layer.Path.Split('.')[^1]).Distinct());
        Assert.Equal(ModuleSelector.EndsWith("q_proj", "v_proj"), lora.Config.TargetModules);
    }

    private Tensor Output()
    {
        using var noGrad = no_grad();
        return _model.call(new CausalInput(_tokens));
    }
}
