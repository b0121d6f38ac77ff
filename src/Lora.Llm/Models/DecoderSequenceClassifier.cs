using Lora.Llm.Blocks;
using Lora.Llm.Loading;
using TorchSharp;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>
/// A decoder such as a Llama that classifies whole texts by their last token, which has seen all others. The modules have the paths of transformers'
/// <c>LlamaForSequenceClassification</c>, such as <c>model.layers.0.self_attn.q_proj</c> and <c>score</c>, so adapters of PEFT fit.
/// </summary>
public sealed class DecoderSequenceClassifier : SequenceClassifier
{
    [ComponentName(Name = "model")]
    private Decoder _decoder;

    [ComponentName(Name = "score")]
    private nn.Module<Tensor, Tensor> _score;

    /// <summary>Creates a model with random weights: matrices and embeddings from N(0, 0.02²), norms at one.</summary>
    /// <param name="config">The shape of the decoder, such as a <see cref="LlamaConfig"/>.</param>
    /// <param name="labels">The names of the classes, in the order of the logits.</param>
    /// <param name="problemType">What the labels mean; null where their number and type tell.</param>
    /// <param name="dataType">The type of its weights; float32 when null.</param>
    /// <param name="device">Where it lives; the CPU when null.</param>
    /// <exception cref="ArgumentException">The sizes do not fit each other, the type is no floating-point type, or the labels name no class or one twice.</exception>
    public DecoderSequenceClassifier(DecoderConfig config, IReadOnlyList<string> labels, ProblemType? problemType = null, ScalarType? dataType = null, Device? device = null)
        : this(config, labels, problemType, dataType ?? ScalarType.Float32, device ?? CPU) => FreshWeights.Fill(this, 0.02);

    // The types are not nullable here: this one leaves the weights unset.
    private DecoderSequenceClassifier(DecoderConfig config, IReadOnlyList<string> labels, ProblemType? problemType, ScalarType type, Device place)
        : base(nameof(DecoderSequenceClassifier))
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(labels);
        config.Validate();
        WeightType.ThrowIfWrong(type);
        if (LabelReader.Problem(labels) is string problem) throw new ArgumentException($"{nameof(labels)}: {problem}", nameof(labels));
        Config = config;
        Labels = labels is UnnamedLabels ? labels : [.. labels];
        ProblemType = problemType;
        _decoder = new Decoder(config, type, place);
        _score = UnfilledLayers.Linear(config.HiddenSize, labels.Count, hasBias: false, type, place);
        RegisterComponents();
    }

    /// <summary>The decoder's shape.</summary>
    public DecoderConfig Config { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Labels { get; }

    /// <inheritdoc/>
    public override ProblemType? ProblemType { get; }

    /// <inheritdoc/>
    public override int VocabularySize => Config.VocabularySize;

    /// <inheritdoc/>
    public override int MaxPositions => Config.MaxPositions;

    /// <inheritdoc/>
    public override nn.Module? TokenEmbedding => _decoder.Embedding;

    /// <inheritdoc/>
    public override string? ModelFamily => Config.Family;

    /// <summary>Loads a Hugging Face folder of one family: <c>config.json</c> with <c>model.safetensors</c>, or with several files and their index.</summary>
    internal static DecoderSequenceClassifier Load(string folder, PretrainedOptions? options, Func<string, DecoderConfig> read)
    {
        string path = FolderLoader.ConfigOf(folder);
        DecoderConfig config = read(path);
        ConfigReader file = ConfigReader.Open(path);
        (IReadOnlyList<string> labels, ProblemType? problem) = LabelReader.Read(file);
        file.ThrowIfWrong();
        bool fresh = options?.Labels is not null;
        if (fresh) (labels, problem) = (FreshHeads.Checked(options!.Labels!), null);
        return FolderLoader.Load(folder, options, config.Layers, (type, place) => new DecoderSequenceClassifier(config, labels, problem, type, place), names => new TensorRules
        {
            // A model saved without a head has no name before its parts.
            Rename = names.Any(name => name.StartsWith("embed_tokens.", StringComparison.Ordinal)) ? name => $"model.{name}" : name => name,
            Ignored = name => DecoderLoader.IsTable(name) || (fresh && !name.StartsWith("model.", StringComparison.Ordinal)),
            Fresh = name => fresh && name == "score.weight",
            Hint = missing => missing.Contains("score.weight") ? FreshHeads.Hint(typeof(SequenceClassifier)) : null,
        });
    }

    /// <summary>
    /// Computes the logits of the last token of each text that is not <see cref="DecoderConfig.PadTokenId"/>, on whichever side the padding lies; without such a token of
    /// the last place, where there may be one text alone.
    /// </summary>
    /// <param name="input">Token ids, shape <c>[batch, length]</c>, and what goes with them.</param>
    /// <returns>Logits, shape <c>[batch, labels]</c>.</returns>
    /// <exception cref="ArgumentException">A tensor of the input has another shape or type than it should, there are token types, or several texts and no padding token.</exception>
    public override Tensor forward(TextInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        input.ThrowIfWrong();
        if (input.TokenTypeIds is not null) throw new ArgumentException($"TokenTypeIds must be null: a {Config.Kind} has none.");
        long batch = input.InputIds.shape[0];
        if (Config.PadTokenId is null && batch > 1)
            throw new ArgumentException($"There are {batch} texts, but the configuration has no padding token (pad_token_id), so the end of the shorter ones is not known: set PadTokenId, or call with one text.");
        using var scope = NewDisposeScope();
        Tensor hidden = _decoder.call(new CausalInput(input.InputIds) { AttentionMask = input.AttentionMask, PositionIds = input.PositionIds });
        Tensor places = Last(input.InputIds).view(batch, 1, 1).expand(batch, 1, Config.HiddenSize);
        return _score.call(hidden.gather(1, places).squeeze(1)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing) _decoder.ReleaseTables();
        base.Dispose(disposing);
    }

    // A text of padding alone is read at its first place, as in transformers.
    private Tensor Last(Tensor ids)
    {
        long length = ids.shape[1];
        if (Config.PadTokenId is not int padding) return full([ids.shape[0]], length - 1, dtype: ScalarType.Int64, device: ids.device);
        using Scalar pad = padding;
        return ids.ne(pad).to(ScalarType.Int64).mul(arange(length, dtype: ScalarType.Int64, device: ids.device)).argmax(1);
    }
}
