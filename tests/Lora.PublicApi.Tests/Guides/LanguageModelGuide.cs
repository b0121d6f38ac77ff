// Readers of a guide have no test context: the code stands as they would write it.
#pragma warning disable xUnit1051
using Lora.Llm;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.PublicApi.Tests.Guides;

[Collection(GuideRuns.Name)]
public class LanguageModelGuide
{
    [Fact]
    public void Prompts_and_completions()
    {
        using DisposeScope scope = NewDisposeScope();
        // snippet llm-load
        using CausalLanguageModel model = AutoModel.FromPretrained("models/Llama-3.2-1B", new PretrainedOptions
        {
            Device = cuda.is_available() ? CUDA : CPU,
            DataType = ScalarType.Float32, // left out: the type in which the folder's weights are stored
        });
        HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFolder("models/Llama-3.2-1B");
        // end

        // snippet llm-data
        var reading = new JsonlOptions { EndTokenId = tokenizer.EosId, MaxLength = 256 };
        JsonlDataset data = JsonlDataset.Load("train.jsonl", tokenizer, reading);
        JsonlDataset heldOut = JsonlDataset.Load("test.jsonl", tokenizer, reading);
        // end

        // snippet llm-train
        using LoraModel<CausalLanguageModel> lora = LoraModel.Wrap(model, LoraConfig.AllLinear(rank: 16, alpha: 32));
        var trainer = new LoraTrainer<CausalLanguageModel>(lora, new TrainingOptions
        {
            Epochs = 3,
            BatchSize = 8,
            LearningRate = 2e-4,
            Schedule = ScheduleKind.Cosine,
            WarmupSteps = 10,
        });
        TrainingResult result = trainer.Train(data, heldOut);
        lora.Save("out/adapter");
        // end
        Assert.True(result.EvaluationLossAfter < result.EvaluationLossBefore);

        // snippet llm-generate
        string text = model.GenerateText(tokenizer, "name: Tom | animal: wolf =>", new GenerationOptions { MaxNewTokens = 32 });
        string drawn = model.GenerateText(tokenizer, "name: Tom | animal: wolf =>", new GenerationOptions { MaxNewTokens = 32, Temperature = 0.8, TopP = 0.95, Seed = 1 });
        // end
        Assert.NotEmpty(text + drawn);
    }

    [Fact]
    public void Conversations()
    {
        using DisposeScope scope = NewDisposeScope();
        using CausalLanguageModel model = AutoModel.FromPretrained("models/Llama-3.2-1B");
        HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFolder("models/Llama-3.2-1B");
        using LoraModel<CausalLanguageModel> lora = LoraModel.Wrap(model, LoraConfig.AllLinear(rank: 4, alpha: 8));
        // snippet llm-chat
        ChatTemplate template = ChatTemplate.Named("zephyr"); // or "llama-3", "chatml", "mistral", "gemma", "phi-3", …
        JsonlDataset chats = JsonlDataset.LoadChat("chats.jsonl", tokenizer, template, new ChatOptions { MaxLength = 256 });
        new LoraTrainer<CausalLanguageModel>(lora, new TrainingOptions { Epochs = 1, BatchSize = 4, PackedLength = 256 }).Train(chats);

        IReadOnlyList<int> prompt = template.Encode([new ChatMessage("user", "Which colour?")], tokenizer, addGenerationPrompt: true);
        Tensor reply = model.Generate(tensor(prompt.Select(id => (long)id).ToArray()).unsqueeze(0), new GenerationOptions { MaxNewTokens = 16 });
        string answer = tokenizer.Decode(reply[0].data<long>().Skip(prompt.Count).Select(id => (int)id).TakeWhile(id => !model.EndTokenIds.Contains(id)));
        // end
        Assert.True(chats.Examples.Count > 0 && reply.shape[1] > prompt.Count && answer is not null);
    }
}
