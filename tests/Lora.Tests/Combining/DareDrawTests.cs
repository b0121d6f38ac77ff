using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Combining;

/// <summary>What DARE draws comes from a generator of its own. Alone, since every test draws from the global one.</summary>
[Collection(Alone.Name)]
public sealed class DareDrawTests
{
    [Theory]
    [InlineData("dare_linear")]
    [InlineData("dare_ties")]
    public void Other_draws_go_on_as_they_would(string method)
    {
        using DisposeScope scope = NewDisposeScope();
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Blends.OfOneRank(Blends.Model());
        using var generator = Generator.Default;
        byte[] before = Adapted.Bits(generator.get_state());
        lora.Combine("blend", [("a", 1), ("b", 1)], new CombineOptions { Method = CombineMethod.All.Single(known => known.Name == method), Density = 0.6, Seed = 1 });
        Assert.Equal(before, Adapted.Bits(generator.get_state()));
    }
}
