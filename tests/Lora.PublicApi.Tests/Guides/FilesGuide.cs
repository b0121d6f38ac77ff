using Lora.Conversion;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.PublicApi.Tests.Guides;

[Collection(GuideRuns.Name)]
public class FilesGuide
{
    [Fact]
    public void Read_and_write_other_forms()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(6);
        var model = new Classifier();
        using LoraModel<Classifier> lora = LoraModel.Wrap(model, LoraConfig.AllLinear(rank: 3, alpha: 5));
        using (no_grad())
        {
            foreach (var parameter in lora.TrainableParameters()) parameter.uniform_(-0.3, 0.3);
        }

        Directory.CreateDirectory("out");
        // snippet files-write
        lora.SaveAdapter(LoraModel.DefaultAdapter, "out/peft");                                                     // PEFT's two files
        lora.SaveAdapter(LoraModel.DefaultAdapter, "out/kohya.safetensors", AdapterFormat.Kohya("lora_unet"));      // kohya's sd-scripts
        lora.SaveAdapter(LoraModel.DefaultAdapter, "out/diffusers.safetensors", AdapterFormat.Diffusers("unet"));   // diffusers
        // end

        // snippet files-read
        lora.LoadAdapter("kohya", "out/kohya.safetensors", loading: new LoadOptions { Format = AdapterFormat.Kohya("lora_unet") });
        // end
        Assert.Equal(["default", "kohya"], lora.AdapterNames.Order(StringComparer.Ordinal));

        // snippet files-scale
        AdapterScaling.Fold("out/peft", "out/folded");                       // the scale inside B: α = r for tools that know no α
        AdapterScaling.ToRankStabilized("out/peft", "out/rslora");           // the same update, written for rsLoRA
        MlxAdapter.FromPeft("out/peft", "out/mlx");                          // mlx-lm's layout
        // end
        Assert.True(File.Exists("out/folded/adapter_config.json") && Directory.Exists("out/mlx"));
    }

    [Fact]
    public void Strict_reading_says_everything_at_once()
    {
        using DisposeScope scope = NewDisposeScope();
        using (LoraModel<Classifier> lora = LoraModel.Wrap(new Classifier(), LoraConfig.AllLinear(rank: 3, alpha: 5))) lora.Save("out/strict");
        var other = nn.Sequential(("hidden", nn.Linear(6, 7)), ("out", nn.Linear(7, 4)));
        List<string> lines = [];
        // snippet files-strict
        try
        {
            LoraModel.Load(other, "out/strict");
        }
        catch (AdapterFormatException exception)
        {
            foreach (string problem in exception.Problems) lines.Add(problem);   // every missing, unexpected and misshapen tensor; the model is as it was
        }

        // end
        Assert.NotEmpty(lines);
    }

    [Fact]
    public void Extract_an_adapter_from_two_models()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(8);
        Classifier baseModel = new(), tunedModel = new();
        tunedModel.load_state_dict(baseModel.state_dict());
        using (no_grad())
        {
            foreach (var parameter in tunedModel.parameters()) parameter.add_(rand_like(parameter), alpha: 0.01);
        }

        // snippet files-extract
        ExtractionResult extracted = LoraExtraction.FromModels(baseModel, tunedModel, "out/extracted", new ExtractionOptions
        {
            TargetModules = ModuleSelector.EndsWith("hidden", "out"),
            Rank = 4,
        });
        // end
        Assert.Equal(2, extracted.Layers.Count);
    }
}
