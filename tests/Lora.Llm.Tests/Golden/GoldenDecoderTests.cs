using System.Text.Json;
using System.Text.Json.Nodes;
using Lora.Serialization;
using Lora.Tests;
using Lora.Tests.Golden;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Golden;

/// <summary>Language models saved by transformers with adapters trained by PEFT: logits, gradients, generations and whole trainings are theirs.</summary>
public sealed class GoldenDecoderTests(ITestOutputHelper output)
{
    public static IEnumerable<TheoryDataRow<string>> Cases => GoldenFolder.Cases('E').Where(IsCausal).Select(name => new TheoryDataRow<string>(name));

    internal static bool IsCausal(string name) => GoldenFolder.BaseClass(name) is string kind && (kind.EndsWith("ForCausalLM", StringComparison.Ordinal) || kind.EndsWith("LMHeadModel", StringComparison.Ordinal));

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
        runner.CompareOlderConfiguration();
        Assert.NotEqual(0, golden.Compared);
        output.WriteLine($"{golden.Compared} tensors compared");
    }

    public static IEnumerable<TheoryDataRow<string>> Settings => GoldenFolder.Cases('B').Where(name => GoldenFolder.BaseKind(name) == "transformers").Select(name => new TheoryDataRow<string>(name));

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Settings))]
    [Trait("Golden", "B")]
    public void Settings_agree(string name)
    {
        using var golden = new GoldenCase(name);
        var runner = new Runner(golden);
        runner.RunAll();
        runner.Train();
        runner.RefuseToMergeCopies();
        Assert.NotEqual(0, golden.Compared);
        output.WriteLine($"{golden.Compared} tensors compared");
    }

    private sealed class Runner(GoldenCase golden) : PretrainedRunner<CausalLanguageModel>(golden)
    {
        private JsonNode Config => JsonNode.Parse(File.ReadAllText(Path.Combine(Folder, "config.json")))!;

        private bool TiesEmbeddings => Config["tie_word_embeddings"]?.GetValue<bool>() ?? false;

        private string EmbeddingName => Config["model_type"]!.GetValue<string>() == "gpt2" ? "transformer.wte.weight" : "model.embed_tokens.weight";

        // A tied head has no weight of its own here.
        protected override string StateName(string name) =>
            name == "lm_head.weight" && TiesEmbeddings ? EmbeddingName : name;

        protected override Tensor Forward(CausalLanguageModel model, IReadOnlyDictionary<string, Tensor> inputs) => model.call(new CausalInput(inputs["input_ids"])
        {
            AttentionMask = inputs.GetValueOrDefault("attention_mask"),
            PositionIds = inputs.GetValueOrDefault("position_ids"),
        });

        protected override Tensor Loss(CausalLanguageModel model, IReadOnlyDictionary<string, Tensor> batch)
        {
            using Tensor logits = Forward(model, batch);
            return CausalLoss.Compute(logits, batch["labels"]);
        }

        /// <summary>PEFT merges the changes of all copies of a layer into the weight that they share, and computes something else then. Here that is refused.</summary>
        public void RefuseToMergeCopies()
        {
            if (!Golden.Json.TryGetProperty("layers_after", out _)) return;
            using var scope = NewDisposeScope();
            using var noGrad = no_grad();
            using CausalLanguageModel model = Build();
            using LoraModel<CausalLanguageModel> lora = LoraModel.Load(model, Golden.PathOf("adapter"));
            Assert.Contains("copies of a layer share one weight", Assert.Throws<InvalidOperationException>(() => lora.Merge()).Message, StringComparison.Ordinal);
            JsonElement run = Golden.Runs.Single(r => r.GetProperty("id").GetString() == "adapter");
            Dictionary<string, Tensor> inputs = run.GetProperty("inputs").EnumerateObject().ToDictionary(p => p.Name, p => Golden.Read(p.Value.GetString()!));
            Assert.True(Forward(model, inputs).sub(Golden.Read("out.merged_shared")).abs().max().item<float>() > 1e-3f);
        }

        /// <summary>Greedy continuations, token for token, with the adapter and without.</summary>
        public void Generate()
        {
            if (!Golden.Json.TryGetProperty("generation", out JsonElement generation)) return;
            Golden.Begin("generation");
            using var scope = NewDisposeScope();
            using CausalLanguageModel model = Build();
            using LoraModel<CausalLanguageModel> lora = LoraModel.Load(model, Golden.PathOf("adapter"));
            if (generation.TryGetProperty("runs", out JsonElement runs))
            {
                foreach (JsonElement run in runs.EnumerateArray()) Generate(lora, run);
                return;
            }
            int count = generation.GetProperty("new_tokens").GetInt32();
            foreach (bool cache in new[] { true, false })
            {
                var options = new GenerationOptions { MaxNewTokens = count, EndTokenIds = [], PadTokenId = 0, UseCache = cache };
                Golden.CompareIds("gen.adapter", model.Generate(Golden.Read("gen.prompt"), options));
                using (lora.Disable()) Golden.CompareIds("gen.base", model.Generate(Golden.Read("gen.prompt"), options));
            }
        }

        /// <summary>The same settings in the spelling of transformers 4 give the same outputs.</summary>
        public void CompareOlderConfiguration()
        {
            string older = Path.Combine(Folder, "config_v4.json");
            if (!File.Exists(older)) return;
            Golden.Begin("config_v4");
            using var folder = new TemporaryFolder();
            foreach (string file in Directory.EnumerateFiles(Folder).Where(f => !Path.GetFileName(f).StartsWith("config", StringComparison.Ordinal)))
                File.Copy(file, folder[Path.GetFileName(file)]);
            File.Copy(older, folder["config.json"]);
            using var scope = NewDisposeScope();
            using var noGrad = no_grad();
            using CausalLanguageModel model = AutoModel.FromPretrained(folder.Path, new PretrainedOptions { Device = TestDevice.Current });
            JsonElement run = Golden.Runs.First(r => r.GetProperty("mode").GetString() == "base");
            Dictionary<string, Tensor> inputs = run.GetProperty("inputs").EnumerateObject().ToDictionary(p => p.Name, p => Golden.Read(p.Value.GetString()!));
            Golden.Compare(run.GetProperty("output").GetString()!, Forward(model, inputs), Tolerance("output"));
        }

        private void Generate(LoraModel<CausalLanguageModel> lora, JsonElement run)
        {
            Tensor? mask = run.TryGetProperty("attention_mask", out JsonElement name) && name.ValueKind == JsonValueKind.String ? Golden.Read(name.GetString()!) : null;
            var options = new GenerationOptions
            {
                MaxNewTokens = run.GetProperty("new_tokens").GetInt32(),
                EndTokenIds = run.GetProperty("eos_token_id") is { ValueKind: JsonValueKind.Number } end ? [end.GetInt32()] : [],
                PadTokenId = run.GetProperty("pad_token_id") is { ValueKind: JsonValueKind.Number } pad ? pad.GetInt32() : 0,
            };
            using IDisposable? disabled = run.GetProperty("adapter").GetBoolean() ? null : lora.Disable();
            Golden.CompareIds(run.GetProperty("output").GetString()!, lora.Model.Generate(Golden.Read(run.GetProperty("prompt").GetString()!), options, mask));
        }
    }
}
