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
        // Some files hold the tied head a second time.
        return FolderLoader.Load(
            folder, options, (type, place) => make(config, type, place), _ => new TensorRules { Ignored = name => IsTable(name) || (config.TieEmbeddings && name == "lm_head.weight") });
    }

    /// <summary>Whether a tensor is one of the rotary tables that old files hold.</summary>
    internal static bool IsTable(string name) => name.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal);
}
