using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests;

/// <summary>Switching between adapters that are there is a change of references: no tensor is made, moved or copied.</summary>
[Collection(Alone.Name)]
public sealed class SwitchingTests
{
    [Fact]
    public void Switching_makes_no_tensor()
    {
        using Sequential model = nn.Sequential([.. Enumerable.Range(0, 6).Select(i => ($"{i}", (nn.Module<Tensor, Tensor>)nn.Linear(7, 7)))]);
        using LoraModel<Sequential> lora = LoraModel.Wrap(model, Adapted.Config, new WrapOptions { AdapterName = "first" });
        lora.AddAdapter("second", Adapted.Config with { Rank = 3 });
        lora.SetActive("second");
        (long made, long live) = Counts();
        for (int i = 0; i < 10; i++) lora.SetActive(i % 2 == 0 ? "first" : "second");
        Assert.Equal((made, live), Counts());
        Assert.Equal(["second"], lora.ActiveAdapters);

        static (long Made, long Live) Counts()
        {
            ThreadDisposeScopeStatistics statistics = DisposeScopeManager.Statistics;
            return (statistics.CreatedInScopeCount + statistics.CreatedOutsideScopeCount, statistics.ThreadTotalLiveCount);
        }
    }
}
