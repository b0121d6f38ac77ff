using Lora.Llm.Blocks;
using Lora.Llm.Loading;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>
/// A T5 with its output head (Raffel et al. 2020), of the first form or as T5 1.1 and Flan-T5: the modules have the paths of transformers'
/// <c>T5ForConditionalGeneration</c>, such as <c>encoder.block.0.layer.0.SelfAttention.q</c>, so adapters of PEFT fit.
/// </summary>
public sealed class T5Model : SequenceToSequenceModel
{
    // Both stacks embed by this one. transformers lists it under encoder and decoder too.
    [ComponentName(Name = "shared")]
    private nn.Module<Tensor, Tensor> _tokens;

    [ComponentName(Name = "encoder")]
    private T5Stack _encoder;

    [ComponentName(Name = "decoder")]
    private T5Stack _decoder;

    [ComponentName(Name = "lm_head")]
    private nn.Module<Tensor, Tensor> _head;

    // No field of a module's type: it would be listed a second time.
    private readonly Func<Embedding> _embedding;

    /// <summary>Creates a model with random weights, drawn as the T5s were: the deeper the input of a matrix, the smaller.</summary>
    /// <param name="config">Its shape.</param>
    /// <param name="dataType">The type of its weights; float32 when null.</param>
    /// <param name="device">Where it lives; the CPU when null.</param>
    /// <exception cref="ArgumentException">The sizes do not fit each other, or the type is none that a T5 computes in.</exception>
    public T5Model(T5Config config, ScalarType? dataType = null, Device? device = null)
        : this(config, dataType ?? ScalarType.Float32, device ?? CPU) => FillAtRandom();

    // The types are not nullable here: this one leaves the weights unset.
    private T5Model(T5Config config, ScalarType type, Device place)
        : base(nameof(T5Model))
    {
        ArgumentNullException.ThrowIfNull(config);
        config.Validate();
        if (type is not (ScalarType.BFloat16 or ScalarType.Float32 or ScalarType.Float64))
        {
            string reason = type == ScalarType.Float16 ? ", whose range its activations leave" : "";
            throw new ArgumentException($"A T5's weights cannot be of type {type}{reason}: give BFloat16, Float32 or Float64.");
        }
        Config = config;
        Embedding embedding = UnfilledLayers.Embedding(config.VocabularySize, config.HiddenSize, null, type, place);
        _tokens = embedding;
        _embedding = () => embedding;
        _encoder = new T5Stack(config, isDecoder: false, type, place);
        _decoder = new T5Stack(config, isDecoder: true, type, place);
        _head = config.TieEmbeddings ? new TiedHead(() => embedding.weight!) : UnfilledLayers.Linear(config.HiddenSize, config.VocabularySize, hasBias: false, type, place);
        RegisterComponents();
    }

    /// <summary>The model's shape.</summary>
    public T5Config Config { get; }

    /// <inheritdoc/>
    public override int VocabularySize => Config.VocabularySize;

    /// <inheritdoc/>
    public override int DecoderStartTokenId => Config.DecoderStartTokenId;

    /// <inheritdoc/>
    public override int PadTokenId => Config.PadTokenId;

    /// <inheritdoc/>
    public override IReadOnlyList<int> EndTokenIds => Config.EndTokenIds;

    /// <inheritdoc/>
    public override nn.Module? OutputHead => _head;

    /// <inheritdoc/>
    public override nn.Module? TokenEmbedding => _embedding();

    /// <inheritdoc/>
    public override nn.Module? TiedHead => Config.TieEmbeddings ? _head : null;

    /// <inheritdoc/>
    public override string? ModelFamily => "t5";

    /// <summary>Loads a Hugging Face folder: <c>config.json</c> with <c>model.safetensors</c>, or with several files and their index.</summary>
    /// <param name="folder">The folder. Where it holds an <c>lm_head.weight</c> other than the token embedding, the head is not tied, whatever its configuration says.</param>
    /// <param name="options">Type and device; null for the defaults.</param>
    /// <returns>The model, in evaluation mode.</returns>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">It lacks its configuration or its weights.</exception>
    /// <exception cref="AdapterFormatException">A file is damaged, or configuration and weights do not agree; every problem is listed.</exception>
    /// <exception cref="ArgumentException">The type of the options is none that a T5 computes in.</exception>
    public static T5Model FromPretrained(string folder, PretrainedOptions? options = null) => T5Loader.Load(folder, options, (config, type, place) => new T5Model(config, type, place));

    /// <inheritdoc/>
    public override SequenceToSequenceCache NewCache(int capacity) => new(Config.DecoderLayers, capacity);

    /// <inheritdoc/>
    public override Tensor Encode(Tensor inputIds, Tensor? attentionMask = null)
    {
        SequenceToSequenceInput.ThrowIfWrong(inputIds, attentionMask);
        using Tensor embedded = _tokens.call(inputIds);
        return _encoder.call(embedded, new SequenceToSequenceInput(inputIds, inputIds) { AttentionMask = attentionMask });
    }

    /// <summary>Computes the logits of the next token after each position of the text that is written.</summary>
    /// <param name="input">Token ids of both texts, and what goes with them.</param>
    /// <returns>Logits, shape <c>[batch, targetLength, vocabulary]</c>, or fewer positions by <see cref="SequenceToSequenceInput.LogitsToKeep"/>.</returns>
    /// <exception cref="ArgumentException">A tensor of the input has another shape or type than it should.</exception>
    public override Tensor forward(SequenceToSequenceInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        input.ThrowIfWrong(Config.HiddenSize);
        using var scope = NewDisposeScope();
        // A filled cache holds all that the decoder needs of the text that is read.
        if (input.EncoderOutput is null && input.Cache is not { Length: > 0 }) input = input with { EncoderOutput = Encode(input.InputIds, input.AttentionMask) };
        Tensor hidden = _decoder.call(_tokens.call(input.DecoderInputIds), input);
        long length = hidden.shape[1];
        if (input.LogitsToKeep > 0 && input.LogitsToKeep < length) hidden = hidden.narrow(1, length - input.LogitsToKeep, input.LogitsToKeep);
        if (!Config.ScaleDecoderOutputs) return _head.call(hidden).MoveToOuterDisposeScope();
        using Scalar scale = 1 / Math.Sqrt(Config.HiddenSize);
        return _head.call(hidden.mul(scale)).MoveToOuterDisposeScope();
    }

    // As transformers does: attention that does not scale its scores needs small queries.
    private void FillAtRandom()
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        foreach ((string name, Parameter parameter) in named_parameters())
        {
            if (parameter.dim() < 2) continue;
            double deviation = name.Split('.')[^2] switch
            {
                "shared" or "lm_head" => 1,
                "q" => 1 / Math.Sqrt((double)Config.HiddenSize * Config.HeadDimension),
                "o" => 1 / Math.Sqrt((double)Config.Heads * Config.HeadDimension),
                "wo" => 1 / Math.Sqrt(Config.IntermediateSize),
                _ => 1 / Math.Sqrt(Config.HiddenSize),
            };
            nn.init.normal_(parameter, 0, deviation);
        }
    }
}
