using Lora.Serialization;
using static TorchSharp.torch;

namespace Lora.Llm.Loading;

/// <summary>Loads an encoder with a head from a Hugging Face folder.</summary>
internal static class EncoderLoader
{
    private const string Classifier = "classifier";

    /// <summary>Reads the configuration, makes the model with its weights unset and fills them from the file.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="options">Type, device and labels; null for the defaults.</param>
    /// <param name="read">Reads the configuration.</param>
    /// <param name="make">Makes the model.</param>
    /// <param name="encoder">The path of the encoder in the model.</param>
    /// <param name="head">The path of the head.</param>
    internal static TModel Load<TConfig, TModel>(
        string folder, PretrainedOptions? options, Func<string, TConfig> read, Func<TConfig, ScalarType, Device, TModel> make, string encoder, string head)
        where TConfig : EncoderConfig
        where TModel : nn.Module
    {
        TConfig config = read(FolderLoader.ConfigOf(folder));
        if (head != Classifier && !config.TieEmbeddings)
            throw new AdapterFormatException(Path.Combine(folder, "config.json"), "tie_word_embeddings is false, but this version supports a masked language model whose head shares the token embedding's weight alone.");
        if (options?.Labels is IReadOnlyList<string> labels) config = config with { Labels = FreshHeads.Checked(labels), ProblemType = null };
        return FolderLoader.Load(folder, options, config.Layers, (type, place) => make(config, type, place), names => Rules(names, config, options?.Labels is not null, encoder, head, typeof(TModel)));
    }

    private static TensorRules Rules(IReadOnlyList<string> names, EncoderConfig config, bool fresh, string encoder, string head, Type model)
    {
        // A model saved without a head has no name before its encoder's parts.
        bool isBare = names.Any(name => name.StartsWith("embeddings.", StringComparison.Ordinal));
        bool classifies = head == Classifier, pools = model == typeof(BertSequenceClassifier);
        return new TensorRules
        {
            Rename = name => Modern(isBare ? $"{encoder}.{name}" : name),
            Ignored = name => IsRedundant(name, encoder, head) || (!pools && Within(name, $"{encoder}.pooler")) || (fresh && !Within(name, encoder)),
            Fresh = name => fresh && Within(name, head),
            Optional = name => fresh && Within(name, $"{encoder}.pooler"),
            InitializerRange = config.InitializerRange,
            Hint = missing => classifies && missing.Any(name => Within(name, head)) ? FreshHeads.Hint(model.BaseType!) : null,
        };
    }

    // Tables that old files hold, a tied head's second copy, and the head of the other task that BERT was pretrained with.
    private static bool IsRedundant(string name, string encoder, string head) =>
        name == $"{encoder}.embeddings.position_ids" || name == $"{encoder}.embeddings.token_type_ids"
        || (head != Classifier && (Within(name, "cls.seq_relationship") || Within(name, "cls.predictions.decoder") || Within(name, "lm_head.decoder")));

    // Norms had other names in the first checkpoints.
    private static string Modern(string name) =>
        name.EndsWith("LayerNorm.gamma", StringComparison.Ordinal) ? $"{name[..^"gamma".Length]}weight"
        : name.EndsWith("LayerNorm.beta", StringComparison.Ordinal) ? $"{name[..^"beta".Length]}bias"
        : name;

    private static bool Within(string name, string path) => name.StartsWith($"{path}.", StringComparison.Ordinal);
}
