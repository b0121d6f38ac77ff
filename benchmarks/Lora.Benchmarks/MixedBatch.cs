using Lora.Layers;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Benchmarks;

/// <summary>One linear layer under several adapters, and a batch whose rows use them: the task of the peers' <c>mixed</c>, float32, without gradients.</summary>
internal sealed class MixedBatch : IDisposable
{
    private readonly Linear _base;
    private readonly Model _model;
    private readonly LoraModel<Model> _lora;
    private readonly Tensor _input;
    private readonly string[] _names;
    private readonly IDisposable _scope;
    private readonly (LoraAdapter Adapter, long[] Rows)[] _loop;

    /// <param name="rows">The number of rows.</param>
    /// <param name="inFeatures">The width of the input.</param>
    /// <param name="outFeatures">The width of the output.</param>
    /// <param name="rank">The rank of each adapter.</param>
    /// <param name="adapters">The number of adapters.</param>
    /// <param name="shuffled">Whether the rows are in a random order, instead of in turns as in the peers' task.</param>
    public MixedBatch(int rows, int inFeatures, int outFeatures, int rank, int adapters, bool shuffled = false)
    {
        manual_seed(0);
        using var noGrad = no_grad();
        _base = nn.Linear(inFeatures, outFeatures, hasBias: false);
        _model = new Model(_base);
        var config = new LoraConfig { Rank = rank, Alpha = 2 * rank, TargetModules = ModuleSelector.EndsWith("layer") };
        _lora = LoraModel.Wrap(_model, config, new WrapOptions { AdapterName = "a0" });
        for (int i = 1; i < adapters; i++) _lora.AddAdapter($"a{i}", config);
        foreach (LoraAdapter adapter in _lora.Layers[0].Layer.Adapters) nn.init.normal_(adapter.B, 0, 0.02);
        _model.eval();
        _input = randn(rows, inFeatures);
        int[] who = [.. Enumerable.Range(0, rows).Select(row => row % adapters)];
        if (shuffled) new Random(1).Shuffle(who);
        _names = [.. who.Select(number => $"a{number}")];
        _scope = _lora.UsePerSample(_names);
        _loop = [.. Enumerable.Range(0, adapters).Select(number => (_lora.Layers[0].Layer.Adapters[$"a{number}"], Enumerable.Range(0, rows).Where(row => who[row] == number).Select(row => (long)row).ToArray()))];
    }

    /// <summary>The base layer alone.</summary>
    public void Base()
    {
        using var noGrad = no_grad();
        _base.call(_input).Dispose();
    }

    /// <summary>The base layer, then each adapter after the other on its rows, as PEFT does it.</summary>
    public void Loop() => LoopOutput().Dispose();

    /// <summary>The model in a scope of <see cref="LoraModel{TModel}.UsePerSample"/> that is open all the time, as it is for all layers of a model and all tokens of an answer.</summary>
    public void PerSample() => PerSampleOutput().Dispose();

    /// <summary>The same in a scope that is begun and ended each time.</summary>
    public void PerSampleInNewScope()
    {
        using (_lora.UsePerSample(_names)) PerSampleOutput().Dispose();
    }

    /// <summary>How far the two are apart.</summary>
    public double Difference()
    {
        using var scope = NewDisposeScope();
        return LoopOutput().sub(PerSampleOutput()).abs().max().item<float>();
    }

    public void Dispose()
    {
        _scope.Dispose();
        _lora.Dispose();
        _model.Dispose();
        _input.Dispose();
    }

    private Tensor PerSampleOutput()
    {
        using var noGrad = no_grad();
        return _model.call(_input);
    }

    private Tensor LoopOutput()
    {
        using var noGrad = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor output = _base.call(_input);
        foreach ((LoraAdapter adapter, long[] rows) in _loop)
        {
            Tensor index = tensor(rows), x = _input.index_select(0, index);
            output.index_add_(0, index, nn.functional.linear(nn.functional.linear(x, adapter.A), adapter.B).mul(adapter.Scale), 1);
        }
        return output.MoveToOuterDisposeScope();
    }

    private sealed class Model : nn.Module<Tensor, Tensor>
    {
        [TorchSharp.Utils.ComponentName(Name = "layer")]
        private nn.Module<Tensor, Tensor> _layer;

        public Model(nn.Module<Tensor, Tensor> layer)
            : base(nameof(Model))
        {
            _layer = layer;
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => _layer.call(input);
    }
}
