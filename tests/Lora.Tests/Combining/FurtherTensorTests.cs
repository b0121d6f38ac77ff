using Lora.Layers;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Combining;

/// <summary>What adapters have beside A and B counts or is refused by its name; PEFT leaves it out in silence.</summary>
public sealed class FurtherTensorTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData("cat")]
    [InlineData("linear")]
    [InlineData("svd")]
    [InlineData("magnitude_prune")]
    [InlineData("ties_svd")]
    public void The_bias_of_B_is_combined_as_the_weights_are(string name)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Wrap(_ => "lora_B.bias");
        CombineMethod method = CombineMethod.All.Single(method => method.Name == name);
        lora.Combine("blend", [("a", 0.5), ("b", -2)], new CombineOptions { Method = method, Density = method.Blend.Prunes ? 0.6 : null });
        foreach (AdapterLayer layer in lora.Layers)
        {
            FurtherKind.Adapter Of(string adapter) => (FurtherKind.Adapter)layer.Layer.Adapters[adapter];
            double[][] weighted = [Terms(Of("a"), 0.5, method), Terms(Of("b"), -2, method)];
            double[] expected = [.. weighted[0].Zip(weighted[1]).Select(pair => name == "ties_svd" && pair.First != 0 && pair.Second != 0
                ? Math.Sign(pair.First) == Math.Sign(pair.Second) ? (pair.First + pair.Second) / 2 : Math.Abs(pair.First) > Math.Abs(pair.Second) ? pair.First : pair.Second
                : pair.First + pair.Second)];
            Assert.All(expected.Zip(Blends.Numbers(Of("blend").Further)), pair => Assert.Equal(pair.First, pair.Second, 1e-6));
        }
    }

    [Fact]
    public void One_bias_and_none_do_not_go_together() => Refused(
        name => name == "b" ? null : "lora_B.bias",
        new CombineOptions(),
        "'b' has no lora_B.bias on '_first', which others have: combine adapters of one kind",
        "'b' has no lora_B.bias on '_second', which others have: combine adapters of one kind");

    [Fact]
    public void PEFT_has_no_number_for_a_bias() => Refused(
        _ => "lora_B.bias",
        new CombineOptions { PeftCompatible = true },
        "'a' has lora_B.bias on '_first', which PEFT leaves out: do without PeftCompatible",
        "'b' has lora_B.bias on '_first', which PEFT leaves out: do without PeftCompatible",
        "'a' has lora_B.bias on '_second', which PEFT leaves out: do without PeftCompatible",
        "'b' has lora_B.bias on '_second', which PEFT leaves out: do without PeftCompatible");

    [Fact]
    public void A_magnitude_is_refused_by_its_name() => Refused(
        name => name == "b" ? "lora_magnitude_vector" : null,
        new CombineOptions(),
        "'b' has lora_magnitude_vector on '_first', which cannot be combined",
        "'b' has lora_magnitude_vector on '_second', which cannot be combined");

    private static void Refused(Func<string, string?> keyOf, CombineOptions options, params string[] problems)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Wrap(keyOf);
        ArgumentException exception = Assert.Throws<ArgumentException>(() => lora.Combine("blend", [("a", 1), ("b", 1)], options));
        Assert.Equal($"The adapters cannot be combined into 'blend':{string.Concat(problems.Select(problem => $"\n  - {problem}"))} (Parameter 'adapters')", exception.Message);
    }

    // w·s·b, of which magnitude pruning keeps the three largest of five numbers, and one of three.
    private static double[] Terms(FurtherKind.Adapter adapter, double weight, CombineMethod method)
    {
        double[] bias = Blends.Numbers(adapter.Further);
        double least = method.Blend.Prunes ? bias.Select(Math.Abs).OrderDescending().ElementAt((bias.Length * 6 / 10) - 1) : 0;
        return [.. bias.Select(value => Math.Abs(value) >= least ? value * weight * adapter.Scale : 0)];
    }

    private static LoraModel<nn.Module<Tensor, Tensor>> Wrap(Func<string, string?> keyOf)
    {
        var options = new WrapOptions { AdapterName = "a", LayerKinds = [new FurtherKind(keyOf)] };
        LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(TestModels.Make(Holder.Field), LoraConfig.AllLinear(rank: 2, alpha: 5), options);
        lora.AddAdapter("b", LoraConfig.AllLinear(rank: 2, alpha: 3));
        int seed = 90;
        foreach (FurtherKind.Adapter adapter in lora.Layers.SelectMany(layer => layer.Layer.Adapters).Cast<FurtherKind.Adapter>())
            foreach (TorchSharp.Modules.Parameter parameter in new[] { adapter.A, adapter.B, adapter.Further }) Noise.Fill(parameter, seed++, 0.5);
        return lora;
    }
}
