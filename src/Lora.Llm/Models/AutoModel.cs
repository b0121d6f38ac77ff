using Lora.Llm.Loading;

namespace Lora.Llm;

/// <summary>Loads a language model of whichever family its <c>config.json</c> names.</summary>
public static class AutoModel
{
    private static readonly SortedDictionary<string, Func<string, PretrainedOptions?, CausalLanguageModel>> _families = new(StringComparer.Ordinal)
    {
        ["gemma2"] = Gemma2Model.FromPretrained,
        ["gemma3_text"] = Gemma3Model.FromPretrained,
        ["gpt2"] = Gpt2Model.FromPretrained,
        ["llama"] = LlamaModel.FromPretrained,
        ["mistral"] = MistralModel.FromPretrained,
        ["phi3"] = Phi3Model.FromPretrained,
        ["qwen2"] = Qwen2Model.FromPretrained,
        ["qwen3"] = Qwen3Model.FromPretrained,
    };

    /// <summary>The supported types, as a message lists them.</summary>
    internal static string SupportedTypes
    {
        get
        {
            string[] names = [.. _families.Keys.Select(name => $"\"{name}\"")];
            return $"{string.Join(", ", names[..^1])} and {names[^1]}";
        }
    }

    /// <summary>Loads a Hugging Face folder: <c>config.json</c>, whose <c>model_type</c> says the family, with <c>model.safetensors</c> or with several files and their index.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="options">Type and device; null for the defaults.</param>
    /// <returns>A model of the family's class, such as <see cref="LlamaModel"/> or <see cref="Gpt2Model"/>, in evaluation mode.</returns>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">It lacks its configuration or its weights.</exception>
    /// <exception cref="AdapterFormatException">The family is not supported, a file is damaged, or configuration and weights do not agree; every problem is listed.</exception>
    /// <exception cref="ArgumentException">The type of the options is no floating-point type.</exception>
    public static CausalLanguageModel FromPretrained(string folder, PretrainedOptions? options = null)
    {
        string type = ModelTypeReader.Read(FolderLoader.ConfigOf(folder));
        return _families[type](folder, options);
    }

    internal static bool Supports(string type) => _families.ContainsKey(type);
}
