using Lora.Serialization;

namespace Lora.Llm.Loading;

/// <summary>Opens a <c>config.json</c> by its <c>model_type</c>.</summary>
internal static class ModelTypeReader
{
    /// <summary>Opens the file of one family. A missing type is left as a problem among those that the other fields may have.</summary>
    /// <param name="path">The file.</param>
    /// <param name="type">The family's <c>model_type</c>.</param>
    /// <param name="task">The class of the task whose models a message lists.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">It is of another family, or no JSON object.</exception>
    internal static ConfigReader Open(string path, string type, Type task)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ConfigReader file = ConfigReader.Open(path);
        file.Require(file.Has("model_type"), "model_type is missing.");
        string found = file.Text("model_type", type)!;
        // The fields of another kind of model have other names: a list of those that are missing would say nothing.
        if (found == type) return file;
        throw new AdapterFormatException(
            path, ModelRegistry.Supports(found) ? $"model_type is \"{found}\", but \"{type}\" was asked for: AutoModel loads either." : ModelRegistry.Unsupported(found, task));
    }
}
