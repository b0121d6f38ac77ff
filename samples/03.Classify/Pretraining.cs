using System.Text.Json;
using System.Text.Json.Nodes;
using Lora.Llm;
using Lora.Serialization;
using Samples;
using static TorchSharp.torch;

namespace Classify;

/// <summary>Makes the base of this lesson: a tiny BERT that has learned to fill in masked words of diaries. It has seen no review and no label.</summary>
internal static class Pretraining
{
    private const int Texts = 6000;
    private const double MaskedShare = 0.2;

    internal static void Run(ClassifySettings settings, CancellationToken cancellationToken)
    {
        string folder = Directory.CreateDirectory(settings.Pretrain!).FullName;
        var reviews = new Reviews(1);
        string[] texts = [.. Enumerable.Range(0, Texts).Select(_ => reviews.Diary())];
        WordPieceVocabulary.Write(texts, folder);
        HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFolder(folder);
        string config = Path.Combine(folder, "config.json");
        File.WriteAllText(config, Config(tokenizer.VocabularySize).ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n");
        manual_seed(1);
        using var model = new BertMaskedLanguageModel(BertConfig.FromFile(config));
        model.train();
        var masking = new Masking(tokenizer, seed: 1);
        var training = new ClassifierTraining([.. model.parameters()], batch => masking.Loss(model, [.. batch.Select(i => texts[i])], MaskedShare))
        {
            Examples = Texts,
            Steps = settings.Steps,
            Batch = 32,
            Rate = 3e-3,
        };
        TrainingResult result = training.Run(new ProgressLines(), cancellationToken);
        SafetensorsWriter.Save(Path.Combine(folder, "model.safetensors"), model.named_parameters().Select(p => KeyValuePair.Create(p.name, (Tensor)p.parameter)));
        Console.WriteLine(FormattableString.Invariant($"{model.parameters().Sum(p => p.numel()):N0} parameters; loss {result.Steps[0].Loss:F2} -> {result.Steps.TakeLast(50).Average(step => step.Loss):F2} in {result.Elapsed.TotalSeconds:F0} s. Wrote {settings.Pretrain}."));
    }

    private static JsonObject Config(int vocabulary) => new()
    {
        ["architectures"] = new JsonArray("BertForMaskedLM"),
        ["model_type"] = "bert",
        ["vocab_size"] = vocabulary,
        ["hidden_size"] = 64,
        ["intermediate_size"] = 128,
        ["num_hidden_layers"] = 2,
        ["num_attention_heads"] = 4,
        ["max_position_embeddings"] = 32,
        ["type_vocab_size"] = 2,
        ["hidden_act"] = "gelu",
        ["hidden_dropout_prob"] = 0.0,
        ["attention_probs_dropout_prob"] = 0.0,
        ["layer_norm_eps"] = 1e-12,
        ["initializer_range"] = 0.1,
        ["pad_token_id"] = 0,
    };
}
