using static TorchSharp.torch;

namespace Lora.Llm.Loading;

/// <summary>Loads a decoder model of any family from a Hugging Face folder.</summary>
internal static class DecoderLoader
{
    /// <summary>Reads the configuration, makes the model with its weights unset and fills them from the file.</summary>
    internal static TModel Load<TConfig, TModel>(string folder, PretrainedOptions? options, Func<string, TConfig> read, Func<TConfig, ScalarType, Device, TModel> make)
        where TConfig : DecoderConfig
        where TModel : DecoderModel
    {
        TConfig config = read(FolderLoader.ConfigOf(folder));
        return FolderLoader.Load(folder, options, config.Layers, (type, place) => make(config, type, place), names => Rules(names, "model.", config.TieEmbeddings, IsTable));
    }

    /// <summary>How the tensors of a language model's file become its parameters.</summary>
    /// <param name="names">The names of the file.</param>
    /// <param name="prefix">What the names of all but the head begin with. A file of the model without its head lacks it.</param>
    /// <param name="tied">Whether the head is the token embedding: some files hold it a second time.</param>
    /// <param name="isTable">Whether a tensor is one of the tables that old files hold.</param>
    internal static TensorRules Rules(IReadOnlyList<string> names, string prefix, bool tied, Func<string, bool> isTable)
    {
        bool isBare = !names.Any(name => name.StartsWith(prefix, StringComparison.Ordinal));
        return new TensorRules
        {
            Rename = name => isBare && !name.StartsWith("lm_head.", StringComparison.Ordinal) ? prefix + name : name,
            Ignored = name => isTable(name) || (tied && name == "lm_head.weight"),
        };
    }

    /// <summary>Whether a tensor is one of the rotary tables that old files hold.</summary>
    internal static bool IsTable(string name) => name.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal);
}
