using Lora.Targeting;

namespace Lora.Tests.Targeting;

public class NearNamesTests
{
    private static readonly string[] _paths = ["layers.0.attn.q_proj", "layers.0.attn.k_proj", "layers.1.attn.q_proj", "layers.1.mlp.up_proj", "lm_head"];

    [Theory]
    [InlineData("q_porj", "q_proj,k_proj")]
    [InlineData("Q_PROJ", "q_proj,k_proj,up_proj")]
    [InlineData("attn.q_prj", "attn.q_proj,attn.k_proj")]
    [InlineData("lm_hed", "lm_head")]
    [InlineData("embedding", "")]
    public void The_nearest_endings_come_first(string wanted, string expected) =>
        Assert.Equal(expected, string.Join(',', NearNames.Find(wanted, _paths, 3)));

    [Fact]
    public void No_more_are_given_than_asked_for() => Assert.Equal(["q_proj"], NearNames.Find("q_prj", _paths, 1));
}
