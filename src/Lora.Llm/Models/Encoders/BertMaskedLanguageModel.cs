using Lora.Llm.Blocks;
using Lora.Llm.Loading;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>
/// A BERT that predicts masked tokens (Devlin et al. 2019). The modules have the paths of transformers' <c>BertForMaskedLM</c>, such as
/// <c>bert.encoder.layer.0.attention.self.query</c>, so adapters of PEFT fit.
/// </summary>
public sealed class BertMaskedLanguageModel : MaskedLanguageModel
{
    [ComponentName(Name = "bert")]
    private Encoder _encoder;

    [ComponentName(Name = "cls")]
    private BertVocabularyHead _head;

    /// <summary>Creates a model with random weights: matrices and embeddings from N(0, <see cref="EncoderConfig.InitializerRange"/>²), biases zero, norms at one.</summary>
    /// <param name="config">Its shape.</param>
    /// <param name="dataType">The type of its weights; float32 when null.</param>
    /// <param name="device">Where it lives; the CPU when null.</param>
    /// <exception cref="ArgumentException">The sizes do not fit each other, or the type is no floating-point type.</exception>
    public BertMaskedLanguageModel(BertConfig config, ScalarType? dataType = null, Device? device = null)
        : this(config, dataType ?? ScalarType.Float32, device ?? CPU) => FreshWeights.Fill(this, config.InitializerRange);

    // The types are not nullable here: this one leaves the weights unset.
    private BertMaskedLanguageModel(BertConfig config, ScalarType type, Device place)
        : base(nameof(BertMaskedLanguageModel))
    {
        Config = config;
        _encoder = new Encoder(config, pools: false, type, place);
        _head = new BertVocabularyHead(config, _encoder.Words, type, place);
        RegisterComponents();
    }

    /// <summary>The model's shape.</summary>
    public BertConfig Config { get; }

    /// <inheritdoc/>
    public override nn.Module? OutputHead => _head.Decoder;

    /// <inheritdoc/>
    public override nn.Module? TiedHead => _head.Decoder;

    /// <inheritdoc/>
    public override int VocabularySize => Config.VocabularySize;

    /// <inheritdoc/>
    public override int MaxPositions => Config.LongestText;

    /// <inheritdoc/>
    public override nn.Module? TokenEmbedding => _encoder.Words;

    /// <inheritdoc/>
    public override string? ModelFamily => "bert";

    /// <summary>Loads a Hugging Face folder: <c>config.json</c> with <c>model.safetensors</c>, or with several files and their index.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="options">Type and device; null for the defaults.</param>
    /// <returns>The model, in evaluation mode.</returns>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">It lacks its configuration or its weights.</exception>
    /// <exception cref="AdapterFormatException">A file is damaged, or configuration and weights do not agree; every problem is listed.</exception>
    /// <exception cref="ArgumentException">The type of the options is no floating-point type.</exception>
    public static BertMaskedLanguageModel FromPretrained(string folder, PretrainedOptions? options = null) =>
        EncoderLoader.Load(folder, options, BertConfig.FromFile, (config, type, place) => new BertMaskedLanguageModel(config, type, place), "bert", "cls");

    /// <summary>Computes the logits.</summary>
    /// <param name="input">Token ids, shape <c>[batch, length]</c>, and what goes with them.</param>
    /// <returns>Logits, shape <c>[batch, length, vocabulary]</c>.</returns>
    /// <exception cref="ArgumentException">A tensor of the input has another shape or type than it should, or a text is too long.</exception>
    public override Tensor forward(TextInput input)
    {
        using Tensor hidden = _encoder.call(input);
        return _head.call(hidden);
    }
}
