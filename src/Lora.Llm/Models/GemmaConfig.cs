using System.Diagnostics.CodeAnalysis;
using Lora.Llm.Loading;

namespace Lora.Llm;

/// <summary>The shape of a Gemma 2 or 3.</summary>
public abstract record GemmaConfig : WindowedDecoderConfig
{
    /// <summary>Creates a configuration whose sizes are set by hand.</summary>
    private protected GemmaConfig()
    {
        TieEmbeddings = true;
        SlidingWindow = 4096;
    }

    /// <summary>Reads the fields that both generations have. What is wrong with them is left in <paramref name="file"/>.</summary>
    [SetsRequiredMembers]
    private protected GemmaConfig(ConfigReader file, int maxPositions, double? logitCap)
        : base(file, new FamilyDefaults(maxPositions)
        {
            KeyValueHeads = 4,
            HeadDimension = 256,
            TiesEmbeddings = true,
            BeginTokenId = 2,
            EndTokenId = 1,
            PadTokenId = 0,
        })
    {
        AttentionBias = file.Truth("attention_bias", false);
        QueryPreAttentionScalar = file.Number("query_pre_attn_scalar", 256);
        LogitSoftCap = file.NumberOrNone("final_logit_softcapping", logitCap);
        SlidingWindow = file.CountOrNone("sliding_window", 4096);
        LayerTypes = LayerTypeReader.Read(file, Layers);
        file.Require(!file.Truth("use_bidirectional_attention", false), "use_bidirectional_attention is true, but this version supports causal attention alone.");
    }

    /// <summary>Whether the projections of the attention have biases (<c>attention_bias</c>).</summary>
    /// <value>False by default.</value>
    public bool AttentionBias { get; init; }

    /// <summary>The number s of which attention scores are divided by the root, √s (<c>query_pre_attn_scalar</c>).</summary>
    /// <value>256 by default.</value>
    public double QueryPreAttentionScalar { get; init; } = 256;

    /// <summary>The cap c that logits are bent under, c · tanh(x / c) (<c>final_logit_softcapping</c>); null for none.</summary>
    public double? LogitSoftCap { get; init; }

    internal override bool InputBias => AttentionBias;

    internal override bool OutputBias => AttentionBias;

    internal override (string Field, string Default, IReadOnlyList<string> Names) Activation => ("hidden_activation", "gelu_pytorch_tanh", ["gelu_pytorch_tanh"]);

    internal override double QueryScale => 1 / Math.Sqrt(QueryPreAttentionScalar);

    internal override double? LogitCap => LogitSoftCap;

    private protected override void AddProblems(List<string> problems)
    {
        base.AddProblems(problems);
        AddCap(problems, nameof(QueryPreAttentionScalar), QueryPreAttentionScalar);
        AddCap(problems, nameof(LogitSoftCap), LogitSoftCap);
    }

    /// <summary>Adds a number that is not above 0.</summary>
    private protected static void AddCap(List<string> problems, string name, double? value)
    {
        if (value is double number && !(number > 0 && double.IsFinite(number))) problems.Add(FormattableString.Invariant($"{name} must be above 0, but is {number}."));
    }
}
