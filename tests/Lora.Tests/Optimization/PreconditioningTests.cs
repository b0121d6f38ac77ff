using Lora.Layers;
using Lora.Optimization;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Optimization;

/// <summary>Gradients of pairs before an optimizer uses them, against their formulas in float64.</summary>
public sealed class PreconditioningTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<LayerKind> Kinds => [LayerKind.Linear, LayerKind.Transposed, LayerKind.Conv2dRectangular];

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Riemannian_gradients(LayerKind kind)
    {
        (LoraModel<nn.Module<Tensor, Tensor>> lora, var before) = Made(kind);
        using var owner = lora;
        using var optimizer = new PreconditionedOptimizer(optim.SGD(lora.TrainableParameters(), 1), lora.Pairs(), new RiemannianPreconditioner(0.3));
        optimizer.step();
        foreach ((LoraAdapter pair, (Tensor a, Tensor b, Tensor ga, Tensor gb)) in lora.Pairs().Zip(before))
        {
            Tensor identity = eye(a.shape[0], dtype: ScalarType.Float64, device: a.device).mul(0.3);
            AssertNear(linalg.inv(b.t().matmul(b).add(identity)).matmul(ga), a.sub(pair.A.flatten(1)));
            AssertNear(gb.matmul(linalg.inv(a.matmul(a.t()).add(identity))), b.sub(pair.B.flatten(1)));
        }
    }

    [Fact]
    public void LoraFa_keeps_A_and_steps_as_full_fine_tuning_would_within_its_rows()
    {
        (LoraModel<nn.Module<Tensor, Tensor>> lora, var before) = Made(LayerKind.Linear);
        using var owner = lora;
        foreach (LoraAdapter pair in lora.Pairs()) pair.A.requires_grad = false;
        using var optimizer = new PreconditionedOptimizer(optim.SGD(lora.TrainableParameters(), 1), lora.Pairs(), new LoraFaPreconditioner());
        optimizer.step();
        foreach ((LoraAdapter pair, (Tensor a, Tensor b, _, Tensor gb)) in lora.Pairs().Zip(before))
        {
            Tensor inverse = linalg.inv(a.matmul(a.t()).add(eye(a.shape[0], dtype: ScalarType.Float64, device: a.device).mul(1e-8)));
            AssertNear(gb.matmul(inverse).div(pair.Scale * pair.Scale), b.sub(pair.B));
            Adapted.AssertSame(a, pair.A.detach());
            // s·ΔB·A is the full gradient, projected onto the rows of A: ∇B = s·∇W·Aᵀ.
            Tensor step = b.sub(pair.B).matmul(a).mul(pair.Scale);
            AssertNear(gb.div(pair.Scale).matmul(inverse).matmul(a), step);
        }
    }

    [Fact]
    public void What_cannot_be_preconditioned_is_said()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field));
        Assert.Equal(
            "The gradients cannot be preconditioned by LoraFaPreconditioner:\n  - a pair of 'default' trains A, which LoRA-FA keeps as it is: set requires_grad of A to false (Parameter 'pairs')",
            Assert.Throws<ArgumentException>(() => new PreconditionedOptimizer(optim.SGD(lora.TrainableParameters(), 1), lora.Pairs(), new LoraFaPreconditioner())).Message);
        using LoraModel<nn.Module<Tensor, Tensor>> grouped = Adapted.Wrap(TestModels.Make(Holder.Field, LayerKind.Conv2dGrouped), new LoraConfig { Rank = 2, TargetModules = ModuleSelector.EndsWith("_first") });
        Assert.Equal(
            "The gradients cannot be preconditioned by RiemannianPreconditioner:\n  - a pair of 'default' is a ConvAdapter whose A and B are no two matrices of rank 2 (layers in groups or of several parts have none): leave it out (Parameter 'pairs')",
            Assert.Throws<ArgumentException>(() => new PreconditionedOptimizer(optim.SGD(grouped.TrainableParameters(), 1), grouped.Pairs(), new RiemannianPreconditioner())).Message);
        Assert.Throws<ArgumentOutOfRangeException>(() => new RiemannianPreconditioner(0));
    }

    private static (LoraModel<nn.Module<Tensor, Tensor>> Lora, List<(Tensor A, Tensor B, Tensor Down, Tensor Up)> Before) Made(LayerKind kind)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, kind, ScalarType.Float64);
        LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, new LoraConfig { Rank = 2, Alpha = 5, TargetModules = ModuleSelector.EndsWith("_first", "_second") });
        model.call(kind.Input(2, ScalarType.Float64)).square().sum().backward();
        return (lora, [.. lora.Pairs().Select(pair => (pair.A.detach().flatten(1).clone(), pair.B.detach().flatten(1).clone(), pair.A.grad!.flatten(1).clone(), pair.B.grad!.flatten(1).clone()))]);
    }

    private static void AssertNear(Tensor expected, Tensor actual) =>
        Assert.InRange(Adapted.Difference(expected, actual) / Math.Max(1, expected.abs().max().item<double>()), 0, 1e-9);
}
