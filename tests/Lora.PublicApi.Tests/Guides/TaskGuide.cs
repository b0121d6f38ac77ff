using Lora.Llm;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.PublicApi.Tests.Guides;

[Collection(GuideRuns.Name)]
public class TaskGuide
{
    [Fact]
    public void Classify_texts()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(5);
        // snippet task-load
        using SequenceClassifier model = AutoModel.FromPretrained<SequenceClassifier>("models/bert-base", new PretrainedOptions { Labels = ["negative", "positive"] });
        HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFolder("models/bert-base");
        using LoraModel<SequenceClassifier> lora = LoraModel.Wrap(model, new LoraConfig
        {
            Rank = 8,
            Alpha = 16,
            TargetModules = ModuleSelector.EndsWith("query", "value"),
            TaskType = "SEQ_CLS", // the new head is trained in full and saved with the adapter, as PEFT does
        });
        // end

        // snippet task-train
        TokenizerBatch batch = tokenizer.EncodeBatch(["it was good", "it was bad"], new PaddingOptions());
        TextInput input = new(batch.IdsTensor()) { AttentionMask = batch.AttentionMaskTensor(), TokenTypeIds = batch.TypeIdsTensor() };
        Tensor labels = tensor([1L, 0L]);
        using var optimizer = optim.AdamW(lora.TrainableParameters(), lr: 5e-3);
        model.train();
        for (int step = 0; step < 20; step++)
        {
            using DisposeScope scopeOfStep = NewDisposeScope();
            optimizer.zero_grad();
            Tensor loss = ClassificationLoss.Compute(model.call(input), labels);
            loss.backward();
            optimizer.step();
        }

        model.eval();
        string[] answers = [.. model.call(input).argmax(1).data<long>().Select(label => model.Labels[(int)label])];
        // end
        Assert.Equal(["positive", "negative"], answers);
        lora.Save("out/sentiment");
        Assert.Contains("classifier", lora.AdapterTensors(LoraModel.DefaultAdapter).Select(pair => pair.Key).Single(name => name.EndsWith("classifier.bias", StringComparison.Ordinal)), StringComparison.Ordinal);
    }

    [Fact]
    public void Classify_images()
    {
        using DisposeScope scope = NewDisposeScope();
        // snippet task-images
        using ImageClassifier model = AutoModel.FromPretrained<ImageClassifier>("models/vit-base", new PretrainedOptions { Labels = ["circle", "square", "star"] });
        using LoraModel<ImageClassifier> lora = LoraModel.Wrap(model, LoraConfig.AllLinear(rank: 8, alpha: 16) with { ModulesToSave = ["classifier"] });
        // end
        Assert.True(lora.ParameterCounts.Trainable > 0);
    }
}
