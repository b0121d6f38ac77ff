using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Combining;

/// <summary>Combining again and again keeps no tensor alive.</summary>
[Collection(Alone.Name)]
public sealed class CombiningLeakTests
{
    public static TheoryData<string, bool> Methods
    {
        get
        {
            var data = new TheoryData<string, bool>();
            foreach (string method in CombineMethod.All.Select(method => method.Name))
                foreach (bool peft in new[] { false, true }) data.Add(method, peft);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Methods))]
    public void Combining_and_deleting(string name, bool peft)
    {
        CombineMethod method = CombineMethod.All.Single(method => method.Name == name);
        var options = new CombineOptions { Method = method, Density = method.Blend.Prunes ? 0.5 : null, ClampQuantile = method.ChoosesRank ? 0.9 : null, PeftCompatible = peft };
        using nn.Module<Tensor, Tensor> model = Blends.Model();
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Blends.OfOneRank(model);
        Leaks.AssertNone(10, () =>
        {
            lora.Combine("blend", [("a", 0.5), ("b", -0.5), ("c", 1)], options);
            lora.DeleteAdapter("blend");
        });
    }

    [Fact]
    public void Refusals()
    {
        using nn.Module<Tensor, Tensor> model = Blends.Model();
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Blends.OfSeveralRanks(model);
        Leaks.AssertNone(10, () => Assert.Throws<ArgumentException>(() => lora.Combine("blend", [("a", 1), ("b", 1)], new CombineOptions { Method = CombineMethod.Ties })));
    }

    [Fact]
    public void A_combined_adapter_outlives_the_scope_that_it_was_made_in()
    {
        using nn.Module<Tensor, Tensor> model = Blends.Model();
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Blends.OfOneRank(model);
        using (NewDisposeScope()) lora.Combine("blend", [("a", 0.5), ("b", -0.5)]);
        lora.SetActive("blend");
        using Tensor input = Models.TestModels.Input();
        model.call(input).Dispose();
    }
}
