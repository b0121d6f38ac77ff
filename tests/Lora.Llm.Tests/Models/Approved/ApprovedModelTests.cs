using System.Text.Json.Nodes;
using Lora.Tests;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models.Approved;

/// <summary>
/// Models of full size, made from their published configuration on the meta device, which has shapes and no memory. Their tensors, their number of parameters and what usual adapters train are
/// compared with the listings of this folder, which were written by hand from the names of transformers.
/// </summary>
public sealed class ApprovedModelTests
{
    private static readonly string _folder = Path.Combine(RepositoryFolder.Root, "tests", "Lora.Llm.Tests", "Models", "Approved");

    private static readonly Dictionary<string, Func<string, nn.Module>> _makers = new()
    {
        ["CausalLanguageModel gemma2"] = path => new Gemma2Model(Gemma2Config.FromFile(path), ScalarType.BFloat16, META),
        ["CausalLanguageModel gpt2"] = path => new Gpt2Model(Gpt2Config.FromFile(path), ScalarType.BFloat16, META),
        ["CausalLanguageModel llama"] = path => new LlamaModel(LlamaConfig.FromFile(path), ScalarType.BFloat16, META),
        ["CausalLanguageModel mistral"] = path => new MistralModel(MistralConfig.FromFile(path), ScalarType.BFloat16, META),
        ["CausalLanguageModel phi3"] = path => new Phi3Model(Phi3Config.FromFile(path), ScalarType.BFloat16, META),
        ["CausalLanguageModel qwen3"] = path => new Qwen3Model(Qwen3Config.FromFile(path), ScalarType.BFloat16, META),
        ["ImageClassifier resnet"] = path => new ResNetModel(ResNetConfig.FromFile(path), ScalarType.BFloat16, META),
        ["ImageClassifier vit"] = path => new ViTModel(ViTConfig.FromFile(path) with { ClassicNames = true }, ScalarType.BFloat16, META),
        ["MaskedLanguageModel bert"] = path => new BertMaskedLanguageModel(BertConfig.FromFile(path), ScalarType.BFloat16, META),
        ["SequenceClassifier bert"] = path => new BertSequenceClassifier(BertConfig.FromFile(path), ScalarType.BFloat16, META),
        ["SequenceClassifier roberta"] = path => new RobertaSequenceClassifier(RobertaConfig.FromFile(path), ScalarType.BFloat16, META),
        ["SequenceToSequenceModel t5"] = path => new T5Model(T5Config.FromFile(path), ScalarType.BFloat16, META),
    };

    public static TheoryData<string> Names => [.. Directory.EnumerateFiles(_folder, "*.txt").Select(path => Path.GetFileNameWithoutExtension(path)).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Names))]
    public void Tensors_and_counts_are_those_approved(string name)
    {
        ApprovedListing approved = ApprovedListing.Read(Path.Combine(_folder, $"{name}.txt"));
        Assert.Equal(approved.Parameters, approved.Elements);

        using nn.Module model = Make(name, approved.Task);
        Assert.Equal(approved.Tensors, model.state_dict().Select(pair => $"{pair.Key} [{string.Join(", ", pair.Value.shape)}]").Order(StringComparer.Ordinal));
        Assert.Equal(approved.Parameters, model.parameters().Sum(parameter => parameter.numel()));

        foreach (ApprovedListing.Setting setting in approved.Settings)
        {
            Assert.Equal(new ParameterCounts(approved.Trainable(setting), approved.Parameters + approved.Trainable(setting)), setting.Counts);
            var config = new LoraConfig
            {
                Rank = setting.Rank,
                Alpha = 2 * setting.Rank,
                TargetModules = setting.AllLinear ? ModuleSelector.AllLinear : ModuleSelector.EndsWith(setting.Modules),
                ModulesToSave = setting.Saved is string saved ? [saved] : [],
            };
            using LoraModel<nn.Module> lora = LoraModel.Wrap(model, config);
            Assert.Equal(setting.Counts, lora.ParameterCounts);
        }
    }

    private static nn.Module Make(string name, string task)
    {
        string path = Path.Combine(_folder, $"{name}.json");
        return _makers[$"{task} {JsonNode.Parse(File.ReadAllText(path))!["model_type"]}"](path);
    }
}
