using System.Diagnostics.CodeAnalysis;
using Lora.Llm.Blocks;
using Lora.Llm.Loading;

namespace Lora.Llm;

/// <summary>The shape of a Gemma 2, as its <c>config.json</c> gives it.</summary>
public sealed record Gemma2Config : GemmaConfig
{
    /// <summary>Creates a configuration whose sizes are set by hand, with a window of 4096 on every other layer and caps of 50 and 30.</summary>
    public Gemma2Config()
    {
        LogitSoftCap = 30;
        AttentionSoftCap = 50;
    }

    [SetsRequiredMembers]
    private Gemma2Config(ConfigReader file)
        : base(file, maxPositions: 8192, logitCap: 30)
    {
        AttentionSoftCap = file.NumberOrNone("attn_logit_softcapping", 50);
        file.Require(
            SlidingWindow is not null || !Enumerable.Range(0, LayerTypes?.Count ?? Layers).Any(Slides), "sliding_window is null, but some layers have \"sliding_attention\".");
    }

    /// <summary>The cap c that attention scores are bent under, c · tanh(s / c) (<c>attn_logit_softcapping</c>); null for none.</summary>
    public double? AttentionSoftCap { get; init; }

    internal override string Kind => "Gemma 2";

    internal override string Family => "gemma2";

    internal override DecoderParts Parts => new GemmaParts(this);

    internal override double? ScoreCap => AttentionSoftCap;

    private protected override bool SlidesByDefault(int layer) => layer % 2 == 0;

    private protected override void AddProblems(List<string> problems)
    {
        base.AddProblems(problems);
        AddCap(problems, nameof(AttentionSoftCap), AttentionSoftCap);
    }

    /// <summary>Reads a <c>config.json</c> of transformers 4 (<c>rope_theta</c> and <c>rope_scaling</c>) or 5 (<c>rope_parameters</c>).</summary>
    /// <param name="path">The file; a <c>generation_config.json</c> beside it is read too.</param>
    /// <returns>The configuration.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">It is no Gemma 2's, or fields are missing, wrong, not supported or contradict each other; all are listed.</exception>
    public static Gemma2Config FromFile(string path) => Read(path, "gemma2", file => new Gemma2Config(file));
}
