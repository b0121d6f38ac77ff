using Lora.Export.Gguf;
using Lora.Llm.Loading;

namespace Lora.Llm.Export;

/// <summary>How one architecture of llama.cpp has the models of a family: names, shapes, order of rows, metadata.</summary>
internal abstract class GgufFamily
{
    private const string Supported = "GGUF files are written for gpt2, llama, mistral, qwen2 and qwen3";

    /// <summary>The architecture's name (<c>general.architecture</c>).</summary>
    internal abstract string Architecture { get; }

    /// <summary>The modules by their paths, without the name of the model inside the model.</summary>
    internal abstract IReadOnlyDictionary<string, GgufPlace> Places { get; }

    /// <summary>What the paths of a model with a head begin with.</summary>
    internal abstract string Prefix { get; }

    internal abstract int VocabularySize { get; }

    internal abstract int? BeginTokenId { get; }

    internal abstract IReadOnlyList<int> EndTokenIds { get; }

    internal abstract int? PadTokenId { get; }

    /// <summary>Whether the output head uses the token embedding's weight.</summary>
    internal abstract bool IsTied { get; }

    /// <summary>What of the configuration the architecture cannot compute.</summary>
    internal abstract IEnumerable<string> Problems { get; }

    /// <summary>What it computes otherwise than the model, where that shows in long texts alone.</summary>
    internal virtual IEnumerable<string> Remarks => [];

    /// <summary>Tensors that are made of the configuration.</summary>
    internal virtual IEnumerable<(string Name, float[] Values)> Extras => [];

    /// <summary>Reads the configuration of a model's folder.</summary>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">It has no <c>config.json</c>.</exception>
    /// <exception cref="AdapterFormatException">Its fields are wrong, or GGUF has no place for what they describe.</exception>
    internal static GgufFamily Open(string folder)
    {
        string path = FolderLoader.ConfigOf(folder);
        ConfigReader file = ConfigReader.Open(path);
        file.Require(file.Has("model_type"), $"model_type is missing; {Supported}.");
        string? type = file.Text("model_type");
        file.ThrowIfWrong();
        GgufFamily family = type switch
        {
            "llama" => new GgufDecoderFamily(LlamaConfig.FromFile(path), "llama"),
            "mistral" => new GgufDecoderFamily(MistralConfig.FromFile(path), "llama"),
            "qwen2" => new GgufDecoderFamily(Qwen2Config.FromFile(path), "qwen2"),
            "qwen3" => new GgufDecoderFamily(Qwen3Config.FromFile(path), "qwen3"),
            "gpt2" => new GgufGpt2Family(Gpt2Config.FromFile(path)),
            _ => throw new AdapterFormatException(path, $"model_type is \"{type}\", but {Supported}."),
        };
        string[] problems = [.. family.Problems];
        return problems.Length == 0 ? family : throw new AdapterFormatException(path, problems);
    }

    /// <summary>Adds the sizes and settings under the architecture's keys.</summary>
    internal abstract void AddMetadata(GgufWriter writer);

    /// <summary>A path without the name of the model inside the model.</summary>
    internal string Bare(string path) => path.StartsWith(Prefix, StringComparison.Ordinal) ? path[Prefix.Length..] : path;

    /// <summary>Whether a tensor of a checkpoint is a table that old files hold beside the weights.</summary>
    internal abstract bool IsOldTable(string name);
}
