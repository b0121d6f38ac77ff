using Lora.Combining;
using Lora.Serialization;
using static TorchSharp.torch;

namespace Lora.Llm.Loading;

/// <summary>A kind of model that can be loaded.</summary>
/// <param name="Task">The class of its task, such as <see cref="CausalLanguageModel"/>.</param>
/// <param name="Type">Its <c>model_type</c>.</param>
/// <param name="Architecture">What transformers calls it in <c>architectures</c>.</param>
/// <param name="Load">Loads a folder.</param>
internal sealed record RegisteredModel(Type Task, string Type, string Architecture, Func<string, PretrainedOptions?, nn.Module> Load);

/// <summary>Every kind of model that can be loaded, by its task and its <c>model_type</c>.</summary>
internal static class ModelRegistry
{
    private static readonly RegisteredModel[] _models =
    [
        For<CausalLanguageModel>("gemma2", "Gemma2ForCausalLM", Gemma2Model.FromPretrained),
        For<CausalLanguageModel>("gemma3_text", "Gemma3ForCausalLM", Gemma3Model.FromPretrained),
        For<CausalLanguageModel>("gpt2", "GPT2LMHeadModel", Gpt2Model.FromPretrained),
        For<CausalLanguageModel>("llama", "LlamaForCausalLM", LlamaModel.FromPretrained),
        For<CausalLanguageModel>("mistral", "MistralForCausalLM", MistralModel.FromPretrained),
        For<CausalLanguageModel>("phi3", "Phi3ForCausalLM", Phi3Model.FromPretrained),
        For<CausalLanguageModel>("qwen2", "Qwen2ForCausalLM", Qwen2Model.FromPretrained),
        For<CausalLanguageModel>("qwen3", "Qwen3ForCausalLM", Qwen3Model.FromPretrained),
        For<ImageClassifier>("resnet", "ResNetForImageClassification", ResNetModel.FromPretrained),
        For<ImageClassifier>("vit", "ViTForImageClassification", (folder, options) => ViTModel.FromPretrained(folder, options)),
        For<SequenceToSequenceModel>("t5", "T5ForConditionalGeneration", T5Model.FromPretrained),
        For<MaskedLanguageModel>("bert", "BertForMaskedLM", BertMaskedLanguageModel.FromPretrained),
        For<MaskedLanguageModel>("roberta", "RobertaForMaskedLM", RobertaMaskedLanguageModel.FromPretrained),
        For<SequenceClassifier>("bert", "BertForSequenceClassification", BertSequenceClassifier.FromPretrained),
        For<SequenceClassifier>("roberta", "RobertaForSequenceClassification", RobertaSequenceClassifier.FromPretrained),
        For<SequenceClassifier>("gemma2", "Gemma2ForSequenceClassification", (folder, options) => DecoderSequenceClassifier.Load(folder, options, Gemma2Config.FromFile)),
        For<SequenceClassifier>("llama", "LlamaForSequenceClassification", (folder, options) => DecoderSequenceClassifier.Load(folder, options, LlamaConfig.FromFile)),
        For<SequenceClassifier>("mistral", "MistralForSequenceClassification", (folder, options) => DecoderSequenceClassifier.Load(folder, options, MistralConfig.FromFile)),
        For<SequenceClassifier>("phi3", "Phi3ForSequenceClassification", (folder, options) => DecoderSequenceClassifier.Load(folder, options, Phi3Config.FromFile)),
        For<SequenceClassifier>("qwen2", "Qwen2ForSequenceClassification", (folder, options) => DecoderSequenceClassifier.Load(folder, options, Qwen2Config.FromFile)),
        For<SequenceClassifier>("qwen3", "Qwen3ForSequenceClassification", (folder, options) => DecoderSequenceClassifier.Load(folder, options, Qwen3Config.FromFile)),
        For<TokenClassifier>("bert", "BertForTokenClassification", BertTokenClassifier.FromPretrained),
        For<TokenClassifier>("roberta", "RobertaForTokenClassification", RobertaTokenClassifier.FromPretrained),
    ];

    private static readonly Type[] _tasks =
        [typeof(CausalLanguageModel), typeof(ImageClassifier), typeof(MaskedLanguageModel), typeof(SequenceClassifier), typeof(SequenceToSequenceModel), typeof(TokenClassifier)];

    /// <summary>Whether a model of this type can be loaded for some task.</summary>
    internal static bool Supports(string type) => _models.Any(model => model.Type == type);

    /// <summary>The model that a file describes, for one task.</summary>
    /// <param name="task">The class of the task.</param>
    /// <param name="config">The <c>config.json</c>.</param>
    /// <param name="freshHead">Whether the model gets a new head, so that the folder's own task does not matter.</param>
    /// <exception cref="ArgumentException">The class is none of a task.</exception>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">Its type is not supported for the task, or it is a model of another task.</exception>
    internal static RegisteredModel Find(Type task, string config, bool freshHead)
    {
        if (!_tasks.Contains(task)) throw new ArgumentException($"{task.Name} is no task: AutoModel loads a {string.Join(", ", _tasks[..^1].Select(t => t.Name))} or {_tasks[^1].Name}.");
        ConfigReader file = ConfigReader.Open(config);
        file.Require(file.Has("model_type"), $"model_type is missing; {Supported(task)}.");
        string? type = file.Text("model_type");
        IReadOnlyList<string> architectures = file.Texts("architectures");
        file.ThrowIfWrong();
        RegisteredModel? wanted = _models.SingleOrDefault(model => model.Task == task && model.Type == type);
        if (wanted is null) throw new AdapterFormatException(config, Unsupported(type!, task));
        // Where no name is known the tensors tell.
        if (!freshHead && !architectures.Contains(wanted.Architecture)
            && _models.FirstOrDefault(model => model.Type == type && architectures.Contains(model.Architecture)) is RegisteredModel other)
        {
            string instead = HasLabels(task) ? $", or set {nameof(PretrainedOptions)}.{nameof(PretrainedOptions.Labels)} to begin a new {task.Name} on its weights" : "";
            throw new AdapterFormatException(config, $"architectures names {other.Architecture}: load it by {Call(other.Task)}{instead}.");
        }
        return wanted;
    }

    /// <summary>Why a type cannot be loaded, and what can be.</summary>
    internal static string Unsupported(string type, Type task)
    {
        string[] calls = [.. _models.Where(model => model.Type == type).Select(model => Call(model.Task)).Order(StringComparer.Ordinal)];
        return $"model_type is \"{type}\", but {Supported(task)}{(calls.Length == 0 ? "" : $"; load it by {string.Join(" or ", calls)}")}.";
    }

    /// <summary>Whether the models of a task have labels.</summary>
    internal static bool HasLabels(Type task) => task == typeof(SequenceClassifier) || task == typeof(TokenClassifier) || task == typeof(ImageClassifier);

    private static string Call(Type task) => task == typeof(CausalLanguageModel) ? "AutoModel.FromPretrained" : $"AutoModel.FromPretrained<{task.Name}>";

    private static string Supported(Type task)
    {
        string[] types = [.. _models.Where(model => model.Task == task).Select(model => $"\"{model.Type}\"").Order(StringComparer.Ordinal)];
        string role = task == typeof(CausalLanguageModel) ? "" : $" as {(task == typeof(ImageClassifier) ? "an" : "a")} {task.Name}";
        return $"this version supports {(types.Length == 0 ? "none" : Words.And(types))}{role}";
    }

    private static RegisteredModel For<TTask>(string type, string architecture, Func<string, PretrainedOptions?, TTask> load)
        where TTask : nn.Module => new(typeof(TTask), type, architecture, load);
}
