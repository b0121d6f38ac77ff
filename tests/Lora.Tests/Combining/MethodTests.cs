using Lora.Layers;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Combining;

/// <summary>Each method gives what a restatement in float64 gives: by default the right mathematics, with PeftCompatible PEFT's.</summary>
public sealed class MethodTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string, bool, MajoritySign> Cases
    {
        get
        {
            var data = new TheoryData<string, bool, MajoritySign>();
            foreach (string method in CombineMethod.All.Select(method => method.Name))
            {
                foreach (bool peft in new[] { false, true })
                {
                    data.Add(method, peft, MajoritySign.Total);
                    if (method.Contains("ties", StringComparison.Ordinal)) data.Add(method, peft, MajoritySign.Frequency);
                }
            }
            return data;
        }
    }

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Cases))]
    public void Two_and_three_adapters_with_negative_weights(string name, bool peft, MajoritySign sign)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Blends.OfOneRank(Blends.Model());
        CombineOptions options = Options(name) with { PeftCompatible = peft, MajoritySign = sign };
        // The first is rank-stabilised or not, by which PEFT's number changes.
        foreach ((string, double)[] weights in new (string, double)[][] { [("a", 0.7), ("b", -1.3)], [("b", 0.4), ("c", 1.1)], [("c", -0.6), ("a", 0.9), ("b", 0.8)] })
        {
            CombineResult result = lora.Combine("blend", weights, options);
            foreach (CombinedLayer layer in result.Layers) Check(lora, layer, weights, options);
            lora.DeleteAdapter("blend");
        }
    }

    [Theory]
    [InlineData("linear")]
    [InlineData("cat")]
    [InlineData("svd")]
    [InlineData("ties")]
    [InlineData("ties_svd")]
    [InlineData("dare_linear_svd")]
    [InlineData("magnitude_prune")]
    public void One_adapter_with_weight_1_is_that_adapter(string name)
    {
        nn.Module<Tensor, Tensor> model = Blends.Model();
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Blends.OfOneRank(model);
        CombineMethod method = Method(name);
        lora.Combine("blend", [("b", 1)], new CombineOptions { Method = method, Density = method.Blend.Prunes ? 1 : null });
        Tensor input = TestModels.Input(3);
        lora.SetActive("b");
        Tensor before = model.call(input);
        lora.SetActive("blend");
        Adapted.AssertClose(before, model.call(input));
        lora.Merge();
        Adapted.AssertClose(before, model.call(input));
    }

    [Fact]
    public void A_single_adapter_is_pruned_too_but_in_PEFT_it_is_not()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Blends.OfOneRank(Blends.Model());
        var options = new CombineOptions { Method = CombineMethod.MagnitudePrune, Density = 0.5 };
        lora.Combine("ours", [("a", 1)], options);
        lora.Combine("peft", [("a", 1)], options with { PeftCompatible = true });
        int Zeros(string name) => Blends.Numbers(Blends.Adapter(lora, "_first", name).A).Count(value => value == 0);
        // Of the 14 numbers of A.
        Assert.Equal((7, 0), (Zeros("ours"), Zeros("peft")));
    }

    [Fact]
    public void The_density_counts_as_it_is_written_but_in_PEFT_as_it_is_in_binary()
    {
        var model = new FieldModel(nn.Linear(50, 25, device: TestDevice.Current), nn.Linear(25, 3, device: TestDevice.Current));
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Blends.Wrap(model, LoraConfig.AllLinear(rank: 2, alpha: 2), LoraConfig.AllLinear(rank: 2, alpha: 2));
        int Kept(bool peft, double density)
        {
            // 100 numbers in A, of one adapter alone.
            lora.Combine("blend", [("a", 1), ("b", 0)], new CombineOptions { Method = CombineMethod.MagnitudePrune, Density = density, PeftCompatible = peft });
            int kept = Blends.Numbers(Blends.Adapter(lora, "_first", "blend").A).Count(value => value != 0);
            lora.DeleteAdapter("blend");
            return kept;
        }
        Assert.Equal([29, 57, 58, 7], new[] { 0.29, 0.57, 0.58, 0.07 }.Select(density => Kept(false, density)));
        Assert.Equal([28, 56, 57, 7], new[] { 0.29, 0.57, 0.58, 0.07 }.Select(density => Kept(true, density)));
        Assert.Equal(0, Kept(true, 0));
    }

    private static void Check(LoraModel<nn.Module<Tensor, Tensor>> lora, CombinedLayer layer, (string Name, double Weight)[] weights, CombineOptions options)
    {
        using var scope = NewDisposeScope();
        LoraAdapter blend = Blends.Adapter(lora, layer.Path, "blend");
        Tensor whole = new NaiveCombination(options.Method.Name, options).Delta([.. weights.Select(w => (Blends.Adapter(lora, layer.Path, w.Name), w.Weight))], blend.Rank);
        Tensor expected = options.Method.ChoosesRank ? NaiveCombination.Best(whole, layer.Rank) : whole;
        Tensor actual = blend.B.to(ScalarType.Float64).matmul(blend.A.to(ScalarType.Float64)).mul(blend.Scale).cpu();
        Assert.True(Adapted.Difference(expected, actual) < 5e-6, $"{layer.Path} differs by {Adapted.Difference(expected, actual):G4}.");
        if (options.PeftCompatible) return;
        double norm = whole.square().sum().sqrt().item<double>(), error = whole.sub(expected).square().sum().sqrt().item<double>();
        Assert.Equal(error, layer.TruncationError, 2e-6);
        if (options.Method.ChoosesRank) Assert.Equal(error / norm, layer.RelativeTruncationError, 2e-6);
        Assert.Equal((1.0, layer.Rank), (blend.Scale, blend.Rank));
    }

    // Every value is kept where they would be drawn, so that there is something to compare with.
    private static CombineOptions Options(string name) => new()
    {
        Method = Method(name),
        Density = name.Contains("dare", StringComparison.Ordinal) ? 1 : Method(name).Blend.Prunes ? 0.6 : null,
    };

    private static CombineMethod Method(string name) => CombineMethod.All.Single(method => method.Name == name);
}
