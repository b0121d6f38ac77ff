using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.PublicApi.Tests.Guides;

[Collection(GuideRuns.Name)]
public class AdaptersGuide
{
    [Fact]
    public void Switch_mix_combine_replace()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(9);
        var model = new Classifier();
        Tensor x = rand(3, 6);
        string sql = Saved(model, "out/sql", rank: 3), style = Saved(model, "out/style", rank: 2);
        // snippet adapters-load
        using LoraModel<Classifier> lora = LoraModel.Load(model, "out/sql", new WrapOptions { AdapterName = "sql", IsTrainable = false });
        lora.LoadAdapter("style", "out/style", isTrainable: false);  // of any rank and targets
        // end

        // snippet adapters-switch
        lora.SetActive("style");                  // from now on
        lora.SetActive("sql", "style");           // both: their terms add up
        using (lora.Use("sql"))                   // for a while
        {
            Tensor output = model.call(x);
        }

        lora.SetScale("style", 0.5);              // half as strong
        // end

        // snippet adapters-mix
        using (lora.UsePerSample("sql", "style", LoraModel.BaseAdapter))
        {
            Tensor output = model.call(x);        // three rows: one by each adapter, one by the base model
        }

        // end

        // snippet adapters-combine
        CombineResult blend = lora.Combine("blend", [("sql", 0.7), ("style", 0.3)], new CombineOptions { Method = CombineMethod.Svd, Rank = 4 });
        double lost = blend.TruncationError;      // what rank 4 could not hold, as a norm
        lora.SetActive("blend");
        // end
        Assert.Equal(2, blend.Layers.Count);
        Assert.True(lost >= 0);

        // snippet adapters-replace
        lora.ReplaceAdapter("style", "out/sql");  // hot swap: all or nothing, any rank and targets
        lora.DeleteAdapter("blend");
        lora.SetActive("style");
        // end
        Assert.Equal(["style"], lora.ActiveAdapters);
        Assert.NotEqual(sql, style);
    }

    private static string Saved(Classifier model, string folder, int rank)
    {
        using LoraModel<Classifier> lora = LoraModel.Wrap(model, LoraConfig.AllLinear(rank, alpha: 5));
        using (no_grad())
        {
            foreach (var parameter in lora.TrainableParameters()) parameter.uniform_(-0.3, 0.3);
        }

        lora.Save(folder);
        return folder;
    }
}
