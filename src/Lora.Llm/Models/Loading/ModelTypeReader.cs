using Lora.Serialization;

namespace Lora.Llm.Loading;

/// <summary>Opens a <c>config.json</c> by its <c>model_type</c>.</summary>
internal static class ModelTypeReader
{
    /// <summary>Opens the file of one family. A missing type is left as a problem among those that the other fields may have.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">It is of another family, or no JSON object.</exception>
    internal static ConfigReader Open(string path, string type)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ConfigReader file = ConfigReader.Open(path);
        file.Require(file.Has("model_type"), "model_type is missing.");
        string found = file.Text("model_type", type)!;
        // The fields of another kind of model have other names: a list of those that are missing would say nothing.
        if (found == type) return file;
        throw new AdapterFormatException(path, AutoModel.Supports(found) ? $"model_type is \"{found}\", but \"{type}\" was asked for: AutoModel loads either." : Unsupported(found));
    }

    /// <summary>The type that a file names.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">It names none, or is no JSON object.</exception>
    internal static string Read(string path)
    {
        ConfigReader file = ConfigReader.Open(path);
        file.Require(file.Has("model_type"), $"model_type is missing; this version supports {AutoModel.SupportedTypes}.");
        string? type = file.Text("model_type");
        file.ThrowIfWrong();
        return AutoModel.Supports(type!) ? type! : throw new AdapterFormatException(path, Unsupported(type!));
    }

    private static string Unsupported(string type) => $"model_type is \"{type}\", but this version supports {AutoModel.SupportedTypes}.";
}
