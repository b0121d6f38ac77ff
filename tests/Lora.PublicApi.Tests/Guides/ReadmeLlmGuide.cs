// Readers of a page have no test context: the code stands as they would write it.
#pragma warning disable xUnit1051
using Lora.Export;
using Lora.Llm;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.PublicApi.Tests.Guides;

[Collection(GuideRuns.Name)]
public class ReadmeLlmGuide
{
    [Fact]
    public void A_language_model()
    {
        using DisposeScope scope = NewDisposeScope();
        Directory.CreateDirectory("out");
        // snippet readme-llm
        using CausalLanguageModel model = AutoModel.FromPretrained("models/Llama-3.2-1B");
        HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFolder("models/Llama-3.2-1B");
        JsonlDataset data = JsonlDataset.Load("train.jsonl", tokenizer, new JsonlOptions { EndTokenId = tokenizer.EosId });
        using LoraModel<CausalLanguageModel> lora = LoraModel.Wrap(model, LoraConfig.AllLinear(rank: 16, alpha: 32));
        new LoraTrainer<CausalLanguageModel>(lora, new TrainingOptions { Epochs = 3, BatchSize = 8, LearningRate = 2e-4 }).Train(data);
        string text = model.GenerateText(tokenizer, "The capital of France is", new GenerationOptions { MaxNewTokens = 20 });
        lora.Save("out/capitals");

        // On disk, tensor by tensor; the model may be larger than the memory.
        CheckpointMerge.Run("models/Llama-3.2-1B", ["out/capitals"], "out/merged-capitals");
        // end
        Assert.NotNull(text);
    }
}
