using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>The sum of the embeddings of tokens, positions and token types, with norm and dropout.</summary>
internal sealed class EncoderEmbeddings : nn.Module<TextInput, Tensor>
{
    private readonly EncoderConfig _config;

    // No field of a module's type: it would be listed a second time.
    private readonly Func<Embedding> _table;

    [ComponentName(Name = "word_embeddings")]
    private nn.Module<Tensor, Tensor> _words;

    [ComponentName(Name = "position_embeddings")]
    private nn.Module<Tensor, Tensor> _positions;

    [ComponentName(Name = "token_type_embeddings")]
    private nn.Module<Tensor, Tensor> _types;

    [ComponentName(Name = "LayerNorm")]
    private nn.Module<Tensor, Tensor> _norm;

    internal EncoderEmbeddings(EncoderConfig config, ScalarType dataType, Device device)
        : base(nameof(EncoderEmbeddings))
    {
        _config = config;
        long? padding = config.PadTokenId >= 0 && config.PadTokenId < config.VocabularySize ? config.PadTokenId : null;
        Embedding words = UnfilledLayers.Embedding(config.VocabularySize, config.HiddenSize, padding, dataType, device);
        _words = words;
        _table = () => words;
        _positions = UnfilledLayers.Embedding(config.Positions, config.HiddenSize, config.CountsFromPadding ? config.PadTokenId : null, dataType, device);
        _types = UnfilledLayers.Embedding(config.TokenTypes, config.HiddenSize, null, dataType, device);
        _norm = nn.LayerNorm(config.HiddenSize, config.NormEpsilon, device: device, dtype: dataType);
        RegisterComponents();
    }

    /// <summary>The token embedding, without adapters.</summary>
    internal Embedding Words => _table();

    public override Tensor forward(TextInput input)
    {
        using var scope = NewDisposeScope();
        Tensor ids = input.InputIds;
        Tensor sum = _words.call(ids).add(_types.call(input.TokenTypeIds ?? zeros_like(ids))).add(_positions.call(input.PositionIds ?? Positions(ids)));
        return Dropouts.Apply(_norm.call(sum), _config.HiddenDropout, training).MoveToOuterDisposeScope();
    }

    // RoBERTa knows padding by the token, and not by the mask.
    private Tensor Positions(Tensor ids)
    {
        if (!_config.CountsFromPadding) return arange(ids.shape[1], dtype: ScalarType.Int64, device: ids.device).unsqueeze(0);
        Tensor real = ids.ne(_config.PadTokenId).to(ScalarType.Int64);
        return real.cumsum(1).mul(real).add(_config.PadTokenId);
    }
}
