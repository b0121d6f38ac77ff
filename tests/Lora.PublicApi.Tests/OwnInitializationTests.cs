using Lora.Initialization;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.PublicApi.Tests;

/// <summary>A start that the library does not know, made from its public surface alone.</summary>
public sealed class OwnInitializationTests
{
    [Fact]
    public void A_start_of_ones_own_may_look_at_the_weight_and_take_it_off_the_base()
    {
        using var scope = NewDisposeScope();
        var model = nn.Sequential(("a", nn.Linear(6, 5)), ("b", nn.Linear(5, 4)));
        Tensor x = ones(3, 6), before = model.call(x);
        using var lora = LoraModel.Wrap(model, LoraConfig.AllLinear(rank: 2, alpha: 4) with { Initialization = new LargestRows() });
        Assert.True(before.allclose(model.call(x), atol: 1e-6));
        Assert.Equal(2, lora.Layers[0].Layer.Adapter.B.count_nonzero().item<long>());
        Assert.Equal(
            "The model cannot be wrapped:\n  - 'a' has only 5 rows\n  - 'b' has only 4 rows (Parameter 'config')",
            Assert.Throws<ArgumentException>(() => LoraModel.Wrap(nn.Sequential(("a", nn.Linear(6, 5)), ("b", nn.Linear(5, 4))), LoraConfig.AllLinear(rank: 6) with { Initialization = new LargestRows() })).Message);
    }

    /// <summary>A is the rows of W with the largest norms, and B puts each back into its place.</summary>
    private sealed record LargestRows : AdapterInitialization
    {
        public override bool ChangesBase => true;

        protected override string? Obstacle(AdapterShape shape) => shape.OutFeatures < shape.Rank ? $"has only {shape.OutFeatures} rows" : null;

        protected override void Initialize(AdapterStart start)
        {
            Tensor weight = start.Weight();
            (_, Tensor rows) = weight.norm(1).topk(start.Adapter.Rank);
            Tensor back = zeros(weight.shape[0], start.Adapter.Rank).scatter(0, rows.unsqueeze(0), ones(1, start.Adapter.Rank));
            start.Set(weight.index_select(0, rows).div(start.Adapter.Scale), back);
        }
    }
}
