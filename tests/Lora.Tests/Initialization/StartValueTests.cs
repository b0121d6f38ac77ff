using Lora.Initialization;
using Lora.Layers;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Initialization;

/// <summary>The numbers of starts that no reference file holds, against their formulas in float64.</summary>
public sealed class StartValueTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData(LoraGaDirection.ArB2r, LoraGaScale.Unit)]
    [InlineData(LoraGaDirection.A2rBr, LoraGaScale.Stable)]
    [InlineData(LoraGaDirection.ArBr, LoraGaScale.Weight)]
    [InlineData(LoraGaDirection.ArB2r, LoraGaScale.GradientDescent)]
    public void LoraGa_takes_the_singular_vectors_of_the_mean_gradient(LoraGaDirection direction, LoraGaScale scale)
    {
        nn.Module<Tensor, Tensor> model = Starts.Model(transposed: true, type: ScalarType.Float64);
        Dictionary<string, Tensor> gradients = Gradients(model);
        Dictionary<string, Tensor> weights = model.named_parameters().Where(p => p.name.EndsWith("weight", StringComparison.OrdinalIgnoreCase)).ToDictionary(p => p.name.Split('.')[0], p => p.parameter.detach().clone());
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(
            model, Starts.Config with { Initialization = new LoraGaInitialization { Direction = direction, Scale = scale, Passes = Starts.Passes(model, loss: true) } });
        foreach (AdapterLayer layer in lora.Layers)
        {
            bool transposed = layer.Path == "_second";
            (Tensor u, Tensor s, Tensor vh) = linalg.svd(transposed ? gradients[layer.Path].t() : gradients[layer.Path], fullMatrices: false);
            (long[] down, long[] up) = direction switch
            {
                LoraGaDirection.A2rBr => (new long[] { 2, 3 }, new long[] { 0, 1 }),
                LoraGaDirection.ArBr => (new long[] { 1, 3 }, new long[] { 0, 2 }),
                _ => (new long[] { 0, 1 }, new long[] { 2, 3 }),
            };
            Tensor a = vh.index_select(0, tensor(down)), b = u.index_select(1, tensor(up)).mul(s.index_select(0, tensor(up)));
            (double overA, double overB) = scale switch
            {
                LoraGaScale.Stable => (1, Math.Pow(u.shape[0], 0.25) / 4),
                LoraGaScale.Weight => (1, linalg.svdvals(weights[layer.Path])[0].item<double>() / s[up[0]].item<double>()),
                LoraGaScale.GradientDescent => (1 / 2.5, 1 / 2.5),
                _ => (1.0, 1.0),
            };
            LoraAdapter adapter = layer.Layer.Adapter;
            // A vector has no sign.
            AssertNear(a.mul(overA).abs(), adapter.A.abs());
            AssertNear(b.mul(overB).abs(), adapter.B.abs());
        }
    }

    [Fact]
    public void The_smallest_part_of_a_weight_by_the_data_is_kept_free_in_knowledge_mode()
    {
        // The weight times the inputs' covariance splits into what matters most and least; what is taken off adds up to the whole at full rank.
        nn.Module<Tensor, Tensor> model = Starts.Model(type: ScalarType.Float64);
        Tensor weight = model.named_parameters().Single(p => p.name == "_second.weight").parameter.detach();
        var parts = new List<Tensor>();
        foreach ((Start start, int rank) in ((Start, int)[])[(Start.Corda, 2), (Start.CordaKnowledge, 4)])
        {
            LoraConfig config = Starts.With(start, model, new LoraConfig { Rank = rank, Alpha = 3, TargetModules = ModuleSelector.EndsWith("_second") });
            using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, config);
            LoraAdapter adapter = lora.Layers[0].Layer.Adapter;
            parts.Add(adapter.B.matmul(adapter.A).mul(adapter.Scale).detach());
        }
        AssertNear(weight, parts[0].add(parts[1]), 1e-9);
    }

    [Fact]
    public void A_frozen_B_stays()
    {
        nn.Module<Tensor, Tensor> model = Starts.Model();
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, Starts.With(Start.Mica, model));
        Assert.Equal(lora.Layers.Select(layer => layer.Layer.Adapter.A.shape), lora.TrainableParameters().Select(parameter => parameter.shape));
        lora.SetTrainable(false);
        Assert.Empty(lora.TrainableParameters());
        lora.SetTrainable(true);
        Assert.All(lora.Layers, layer => Assert.False(layer.Layer.Adapter.B.requires_grad));
        using var folder = new TemporaryFolder();
        lora.Save(folder.Path);
        using LoraModel<nn.Module<Tensor, Tensor>> loaded = LoraModel.Load(Starts.Model(), folder.Path);
        Assert.All(loaded.Layers, layer => Assert.True(!layer.Layer.Adapter.B.requires_grad && layer.Layer.Adapter.A.requires_grad));
    }

    [Fact]
    public void Embeddings_start_from_their_minor_components()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, LayerKind.Embedding);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, new LoraConfig { Rank = 2, TargetModules = ModuleSelector.EndsWith("_first"), Initialization = AdapterInitialization.Mica });
        var embedding = (LoraEmbedding)lora.Layers[0].Layer;
        Tensor u = linalg.svd(embedding.BaseWeight.detach().t(), fullMatrices: false).U;
        AssertNear(u.narrow(1, u.shape[1] - 2, 2).abs(), embedding.Adapter.B.abs(), 1e-5);
        Assert.Equal(0, embedding.Adapter.A.count_nonzero().item<long>());
    }

    [Fact]
    public void Layers_with_one_input_share_what_is_found()
    {
        using var model = new TwoReaders();
        int passes = 0;
        var eva = new EvaInitialization { Passes = [.. Starts.Passes(model, loss: false).Select(pass => pass with { Run = () => { passes++; pass.Run(); } })] };
        using LoraModel<TwoReaders> lora = LoraModel.Wrap(model, LoraConfig.AllLinear(rank: 2, alpha: 4) with { Initialization = eva });
        LoraAdapter left = lora.Layers[0].Layer.Adapter, right = lora.Layers[1].Layer.Adapter;
        Assert.Equal(4, left.Rank + right.Rank);
        Assert.True(left.Rank >= right.Rank && passes > 2);
        Adapted.AssertSame(left.A.narrow(0, 0, right.Rank), right.A);
        AssertNear(eye(left.Rank, dtype: ScalarType.Float32, device: TestDevice.Current), left.A.matmul(left.A.t()), 1e-5);
    }

    [Fact]
    public void Masked_positions_do_not_count()
    {
        nn.Module<Tensor, Tensor> model = Starts.Model();
        Tensor good = Starts.Input(rows: 12), garbage = Starts.Input(seed: 99, rows: 6).mul(50), both = cat([good, garbage]);
        Tensor mask = cat([ones(12, device: TestDevice.Current), zeros(6, device: TestDevice.Current)]);
        Tensor Start(CalibrationPass pass)
        {
            using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, Starts.Config with { Initialization = new EvaInitialization { Rho = 1, Passes = [pass] } });
            return lora.Layers[0].Layer.Adapter.A.detach().clone();
        }
        AssertNear(Start(new(() => model.call(good).Dispose())).abs(), Start(new(() => model.call(both).Dispose(), mask)).abs(), 1e-5);
    }

    private static Dictionary<string, Tensor> Gradients(nn.Module<Tensor, Tensor> model)
    {
        CalibrationPass[] passes = Starts.Passes(model, loss: true);
        foreach (CalibrationPass pass in passes) pass.Run();
        var gradients = model.named_parameters().Where(p => p.name.EndsWith("weight", StringComparison.OrdinalIgnoreCase)).ToDictionary(p => p.name.Split('.')[0], p => p.parameter.grad!.div(passes.Length));
        foreach (Parameter parameter in model.parameters()) parameter.grad = null;
        return gradients;
    }

    private static void AssertNear(Tensor expected, Tensor actual, double tolerance = 1e-7)
    {
        Assert.Equal(expected.shape, actual.shape);
        Assert.InRange(Adapted.Difference(expected, actual), 0, tolerance);
    }

    /// <summary>Two layers that read the same, and of which the second varies less.</summary>
    private sealed class TwoReaders : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> _left = LayerKind.Linear.Make(Starts.In, Starts.Out, seed: 3);
        private readonly nn.Module<Tensor, Tensor> _right = LayerKind.Linear.Make(Starts.In, Starts.Out, seed: 4);

        internal TwoReaders()
            : base(nameof(TwoReaders)) => RegisterComponents();

        public override Tensor forward(Tensor input) => _left.call(input).mul(_right.call(input));
    }
}
