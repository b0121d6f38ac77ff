using Lora.Serialization;
using static TorchSharp.torch;

namespace Lora.Llm.Loading;

/// <summary>Loads a model of any family from a Hugging Face folder.</summary>
internal static class DecoderLoader
{
    /// <summary>The folder's configuration.</summary>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    internal static string ConfigOf(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (!Directory.Exists(folder)) throw new DirectoryNotFoundException($"There is no model folder '{folder}'.");
        return Path.Combine(folder, "config.json");
    }

    /// <summary>Reads the configuration, makes the model with its weights unset and fills them from the file.</summary>
    internal static TModel Load<TConfig, TModel>(string folder, PretrainedOptions? options, Func<string, TConfig> read, Func<TConfig, ScalarType, Device, TModel> make)
        where TConfig : DecoderConfig
        where TModel : DecoderModel
    {
        TConfig config = read(ConfigOf(folder));
        using SafetensorsSource weights = SafetensorsSource.Open(WeightLoader.Find(folder));
        // Old files hold the rotary tables, and some hold the tied head a second time.
        return WeightLoader.Filled(
            make(config, options?.DataType ?? WeightLoader.TypeOf(weights), options?.Device ?? CPU), weights,
            name => name.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal) || (config.TieEmbeddings && name == "lm_head.weight"));
    }
}
