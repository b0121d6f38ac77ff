using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>Embeddings of tokens and of their positions, layers and last norm: a GPT-2 without its output head.</summary>
internal sealed class Gpt2Decoder : nn.Module<CausalInput, Tensor>
{
    private readonly Gpt2Config _config;

    // No field of a module's type: it would be listed a second time.
    private readonly Func<Embedding> _embedding;

    [ComponentName(Name = "wte")]
    private nn.Module<Tensor, Tensor> _tokens;

    [ComponentName(Name = "wpe")]
    private nn.Module<Tensor, Tensor> _places;

    [ComponentName(Name = "h")]
    private ModuleList<Gpt2Layer> _layers;

    [ComponentName(Name = "ln_f")]
    private nn.Module<Tensor, Tensor> _norm;

    internal Gpt2Decoder(Gpt2Config config, ScalarType dataType, Device device)
        : base(nameof(Gpt2Decoder))
    {
        _config = config;
        Embedding embedding = UnfilledLayers.Embedding(config.VocabularySize, config.HiddenSize, paddingIndex: null, dataType, device);
        _tokens = embedding;
        _embedding = () => embedding;
        _places = UnfilledLayers.Embedding(config.MaxPositions, config.HiddenSize, paddingIndex: null, dataType, device);
        _layers = new ModuleList<Gpt2Layer>([.. Enumerable.Range(0, config.Layers).Select(layer => new Gpt2Layer(config, layer, dataType, device))]);
        _norm = nn.LayerNorm(config.HiddenSize, config.NormEpsilon, device: device, dtype: dataType);
        RegisterComponents();
    }

    /// <summary>The token embedding, without adapters.</summary>
    internal Embedding Embedding => _embedding();

    /// <summary>The number of layers.</summary>
    internal int LayerCount => _layers.Count;

    /// <summary>Which layers run once more in backward, so that they keep less.</summary>
    internal GradientCheckpointing Checkpointing { get; set; } = GradientCheckpointing.None;

    public override Tensor forward(CausalInput input)
    {
        using var scope = NewDisposeScope();
        long length = input.InputIds.shape[1], past = input.Cache?.Length ?? 0;
        Tensor positions = input.PositionIds ?? arange(past, past + length, dtype: ScalarType.Int64, device: input.InputIds.device).unsqueeze(0);
        // Beyond the table there would be an error of the device, after which a GPU cannot be used any more.
        long end = input.PositionIds is null ? past + length : positions.max().item<long>() + 1;
        if (end > _config.MaxPositions) throw new ArgumentException($"The text has {end} positions, but the model has learned {_config.MaxPositions}: give a shorter one.");

        Tensor hidden = Dropouts.Apply(_tokens.call(input.InputIds).add(_places.call(positions)), _config.EmbeddingDropout, training);
        var context = new AttentionContext(
            AttentionMask.Seen(length, past, null), AttentionMask.Causal(length, past, null, input.AttentionMask, hidden.device, input.SequenceIds), input.Cache);
        Func<int, bool> runsTwice = RecomputedLayer.Chosen(
            Checkpointing, _layers.Count, input.Cache, () => BlockActivations.BytesOf(BlockShape.Of(_config), _layers[0], hidden, context.Seen));
        for (int place = 0; place < _layers.Count; place++)
        {
            AttentionContext here = context with { Layer = place };
            Tensor next = runsTwice(place) ? RecomputedLayer.Call(_layers[place], hidden, here) : _layers[place].call(hidden, here);
            hidden.Dispose();
            hidden = next;
        }
        input.Cache?.Advance((int)length);
        return _norm.call(hidden).MoveToOuterDisposeScope();
    }
}
