using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Models;

/// <summary>A tiny text model: tokens to vectors, a linear layer with tanh, a norm, and logits from a head of its own or from the embedding's weight.</summary>
internal sealed class TinyText : nn.Module<Tensor, Tensor>, IHasTokenEmbedding, IHasOutputHead, IHasModelFamily
{
    public const int Vocabulary = 11;
    public const int Width = 5;

    private readonly Embedding _embedding;
    private nn.Module<Tensor, Tensor> tokens;
    private nn.Module<Tensor, Tensor> q_proj;
    private nn.Module<Tensor, Tensor> norm;
    internal nn.Module<Tensor, Tensor> lm_head;

    public TinyText(bool tie = false, ScalarType type = ScalarType.Float32)
        : base(nameof(TinyText))
    {
        _embedding = nn.Embedding(Vocabulary, Width, device: TestDevice.Current, dtype: type);
        tokens = _embedding;
        q_proj = nn.Linear(Width, Width, device: TestDevice.Current, dtype: type);
        norm = nn.LayerNorm(Width, device: TestDevice.Current, dtype: type);
        lm_head = tie ? new Tied(() => _embedding.weight!) : nn.Linear(Width, Vocabulary, device: TestDevice.Current, dtype: type);
        TiedHead = tie ? lm_head : null;
        register_module("tokens", tokens);
        register_module("q_proj", q_proj);
        register_module("norm", norm);
        register_module("lm_head", lm_head);
        using var noGrad = no_grad();
        int seed = 70;
        foreach (Parameter parameter in parameters()) Noise.Fill(parameter, seed++, 1);
        eval();
    }

    public nn.Module? TokenEmbedding => _embedding;

    public nn.Module? TiedHead { get; }

    public nn.Module? OutputHead => lm_head;

    public string? ModelFamily { get; set; }

    public static Tensor Tokens() => tensor(new long[,] { { 3, 0, 7, 3 }, { 10, 9, 1, 7 } }, device: TestDevice.Current);

    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        return lm_head.call(norm.call(q_proj.call(tokens.call(input)).tanh())).MoveToOuterDisposeScope();
    }

    // The fields are registered by hand: the embedding is in two of them.
    protected override void RegisterComponents()
    {
    }

    private sealed class Tied(Func<Parameter> weight) : nn.Module<Tensor, Tensor>(nameof(Tied))
    {
        public override Tensor forward(Tensor input)
        {
            using Parameter shared = weight();
            return nn.functional.linear(input, shared);
        }
    }
}
