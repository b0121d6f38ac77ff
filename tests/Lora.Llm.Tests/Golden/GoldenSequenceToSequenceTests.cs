using System.Text.Json;
using Lora.Tests.Golden;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Golden;

/// <summary>Models that turn one text into another, saved by transformers, with adapters trained by PEFT: logits, gradients, generations and whole trainings are theirs.</summary>
public sealed class GoldenSequenceToSequenceTests(ITestOutputHelper output)
{
    public static IEnumerable<TheoryDataRow<string>> Cases => GoldenFolder.Cases('E')
        .Where(name => GoldenFolder.BaseClass(name)?.EndsWith("ForConditionalGeneration", StringComparison.Ordinal) == true).Select(name => new TheoryDataRow<string>(name));

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Cases))]
    [Trait("Golden", "E")]
    public void Models_agree(string name)
    {
        using var golden = new GoldenCase(name);
        var runner = new Runner(golden);
        runner.RunAll();
        runner.Generate();
        runner.Train();
        Assert.NotEqual(0, golden.Compared);
        output.WriteLine($"{golden.Compared} tensors compared");
    }

    private sealed class Runner(GoldenCase golden) : PretrainedRunner<SequenceToSequenceModel>(golden)
    {
        protected override Tensor Forward(SequenceToSequenceModel model, IReadOnlyDictionary<string, Tensor> inputs) => model.call(
            new SequenceToSequenceInput(inputs["input_ids"], inputs.TryGetValue("decoder_input_ids", out Tensor? written) ? written : model.ShiftRight(inputs["labels"]))
            {
                AttentionMask = inputs.GetValueOrDefault("attention_mask"),
                DecoderAttentionMask = inputs.GetValueOrDefault("decoder_attention_mask"),
            });

        protected override Tensor Loss(SequenceToSequenceModel model, IReadOnlyDictionary<string, Tensor> batch) => ClassificationLoss.OfTokens(Forward(model, batch), batch["labels"]);

        /// <summary>Greedy texts, token for token, with the adapter and without, with the cache and without.</summary>
        public void Generate()
        {
            if (!Golden.Json.TryGetProperty("generation", out JsonElement generation)) return;
            Golden.Begin("generation");
            using var scope = NewDisposeScope();
            using SequenceToSequenceModel model = Build();
            using LoraModel<SequenceToSequenceModel> lora = LoraModel.Load(model, Golden.PathOf("adapter"));
            Assert.Equal(generation.GetProperty("decoder_start_token_id").GetInt32(), model.DecoderStartTokenId);
            foreach (JsonElement run in generation.GetProperty("runs").EnumerateArray())
            {
                Tensor? mask = run.TryGetProperty("attention_mask", out JsonElement name) && name.ValueKind == JsonValueKind.String ? Golden.Read(name.GetString()!) : null;
                using IDisposable? disabled = run.GetProperty("adapter").GetBoolean() ? null : lora.Disable();
                foreach (bool cache in new[] { true, false })
                {
                    var options = new GenerationOptions
                    {
                        MaxNewTokens = run.GetProperty("new_tokens").GetInt32(),
                        EndTokenIds = run.GetProperty("eos_token_id") is { ValueKind: JsonValueKind.Number } end ? [end.GetInt32()] : [],
                        PadTokenId = run.GetProperty("pad_token_id") is { ValueKind: JsonValueKind.Number } pad ? pad.GetInt32() : null,
                        UseCache = cache,
                    };
                    Golden.CompareIds(run.GetProperty("output").GetString()!, model.Generate(Golden.Read(run.GetProperty("prompt").GetString()!), options, mask));
                }
            }
        }
    }
}
