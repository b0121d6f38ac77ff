using Lora.Llm.Loading;
using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>Loads a model of whichever family its <c>config.json</c> names.</summary>
public static class AutoModel
{
    /// <summary>Loads a language model from a Hugging Face folder: <c>config.json</c>, whose <c>model_type</c> says the family, with <c>model.safetensors</c> or with several files and their index.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="options">Type and device; null for the defaults.</param>
    /// <returns>A model of the family's class, such as <see cref="LlamaModel"/> or <see cref="Gpt2Model"/>, in evaluation mode.</returns>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">It lacks its configuration or its weights.</exception>
    /// <exception cref="AdapterFormatException">The family is not supported, a file is damaged, or configuration and weights do not agree; every problem is listed.</exception>
    /// <exception cref="ArgumentException">The type of the options is no floating-point type.</exception>
    public static CausalLanguageModel FromPretrained(string folder, PretrainedOptions? options = null) => FromPretrained<CausalLanguageModel>(folder, options);

    /// <summary>Loads a model for a task from a Hugging Face folder: <c>config.json</c>, whose <c>model_type</c> says the family, with <c>model.safetensors</c> or with several files and their index.</summary>
    /// <typeparam name="TModel">
    /// The task: <see cref="CausalLanguageModel"/>, <see cref="ImageClassifier"/>, <see cref="MaskedLanguageModel"/>, <see cref="SequenceClassifier"/>,
    /// <see cref="SequenceToSequenceModel"/> or <see cref="TokenClassifier"/>.
    /// </typeparam>
    /// <param name="folder">The folder, of a model of this task. With <see cref="PretrainedOptions.Labels"/> a classifier begins on a model of any task.</param>
    /// <param name="options">Type, device and labels; null for the defaults.</param>
    /// <returns>The model of the folder's family, in evaluation mode.</returns>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">It lacks its configuration or its weights.</exception>
    /// <exception cref="AdapterFormatException">
    /// The family is not supported for the task, the folder holds a model of another task, a file is damaged, or configuration and weights do not agree; every problem is listed.
    /// </exception>
    /// <exception cref="ArgumentException"><typeparamref name="TModel"/> is no task, or the options do not fit it.</exception>
    public static TModel FromPretrained<TModel>(string folder, PretrainedOptions? options = null)
        where TModel : nn.Module
    {
        if (options?.Labels is not null && !ModelRegistry.HasLabels(typeof(TModel)))
            throw new ArgumentException($"{nameof(PretrainedOptions)}.{nameof(PretrainedOptions.Labels)} is for classifiers, and {typeof(TModel).Name} is none.", nameof(options));
        RegisteredModel model = ModelRegistry.Find(typeof(TModel), FolderLoader.ConfigOf(folder), freshHead: options?.Labels is not null);
        return (TModel)model.Load(folder, options);
    }
}
