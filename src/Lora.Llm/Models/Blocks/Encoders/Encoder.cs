using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>Embeddings, layers and, for classifiers of whole texts, the pooler: an encoder without its head.</summary>
internal sealed class Encoder : nn.Module<TextInput, Tensor>
{
    private readonly EncoderConfig _config;

    [ComponentName(Name = "embeddings")]
    private EncoderEmbeddings _embeddings;

    [ComponentName(Name = "encoder")]
    private LayerStack _stack;

    [ComponentName(Name = "pooler")]
    private DensePart? _pooler;

    internal Encoder(EncoderConfig config, bool pools, ScalarType dataType, Device device)
        : base(nameof(Encoder))
    {
        ArgumentNullException.ThrowIfNull(config);
        config.Validate();
        WeightType.ThrowIfWrong(dataType);
        _config = config;
        _embeddings = new EncoderEmbeddings(config, dataType, device);
        _stack = new LayerStack(config, dataType, device);
        if (pools) _pooler = new DensePart(config.HiddenSize, dataType, device);
        RegisterComponents();
    }

    /// <summary>The token embedding, without adapters.</summary>
    internal Embedding Words => _embeddings.Words;

    /// <summary>Computes the hidden states, shape <c>[batch, length, width]</c>.</summary>
    public override Tensor forward(TextInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        input.ThrowIfWrong();
        if (input.InputIds.shape[1] > _config.LongestText)
            throw new ArgumentException($"InputIds has {input.InputIds.shape[1]} tokens, but this {_config.Kind} has positions for {_config.LongestText}: cut longer texts.");
        using var scope = NewDisposeScope();
        Tensor hidden = _embeddings.call(input);
        return _stack.call(hidden, AttentionMask.Padding(input.AttentionMask, hidden.dtype)).MoveToOuterDisposeScope();
    }

    /// <summary>Sums a text up by its first token: tanh of a projection, shape <c>[batch, width]</c>.</summary>
    internal Tensor Pool(Tensor hidden)
    {
        using var scope = NewDisposeScope();
        return _pooler!.call(hidden.select(1, 0)).tanh().MoveToOuterDisposeScope();
    }

    private sealed class LayerStack : nn.Module<Tensor, Tensor?, Tensor>
    {
        [ComponentName(Name = "layer")]
        private ModuleList<EncoderLayer> _layers;

        internal LayerStack(EncoderConfig config, ScalarType dataType, Device device)
            : base(nameof(LayerStack))
        {
            _layers = new ModuleList<EncoderLayer>([.. Enumerable.Range(0, config.Layers).Select(_ => new EncoderLayer(config, dataType, device))]);
            RegisterComponents();
        }

        public override Tensor forward(Tensor hidden, Tensor? mask)
        {
            using var scope = NewDisposeScope();
            Tensor current = hidden.alias();
            foreach (EncoderLayer layer in _layers)
            {
                Tensor next = layer.call(current, mask);
                current.Dispose();
                current = next;
            }
            return current.MoveToOuterDisposeScope();
        }
    }
}
