using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>Embeddings of tokens and of their positions, layers and last norm: a GPT-2 without its output head.</summary>
internal sealed class Gpt2Decoder : nn.Module<CausalInput, Tensor>
{
    private readonly int _positions;
    private readonly double _dropout;

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
        _positions = config.MaxPositions;
        _dropout = config.EmbeddingDropout;
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

    public override Tensor forward(CausalInput input)
    {
        using var scope = NewDisposeScope();
        long length = input.InputIds.shape[1], past = input.Cache?.Length ?? 0;
        Tensor positions = input.PositionIds ?? arange(past, past + length, dtype: ScalarType.Int64, device: input.InputIds.device).unsqueeze(0);
        // Beyond the table there would be an error of the device, after which a GPU cannot be used any more.
        long end = input.PositionIds is null ? past + length : positions.max().item<long>() + 1;
        if (end > _positions) throw new ArgumentException($"The text has {end} positions, but the model has learned {_positions}: give a shorter one.");

        Tensor hidden = Dropouts.Apply(_tokens.call(input.InputIds).add(_places.call(positions)), _dropout, training);
        var context = new AttentionContext(
            AttentionMask.Seen(length, past, null), AttentionMask.Causal(length, past, null, input.AttentionMask, hidden.device, input.SequenceIds), input.Cache);
        for (int place = 0; place < _layers.Count; place++)
        {
            Tensor next = _layers[place].call(hidden, context with { Layer = place });
            hidden.Dispose();
            hidden = next;
        }
        input.Cache?.Advance((int)length);
        return _norm.call(hidden).MoveToOuterDisposeScope();
    }
}
