using System.Diagnostics.CodeAnalysis;
using Lora.Llm.Blocks;
using Lora.Llm.Loading;

namespace Lora.Llm;

/// <summary>The shape of a Gemma 3 for text alone, as its <c>config.json</c> gives it.</summary>
public sealed record Gemma3Config : GemmaConfig
{
    private const int Pattern = 6;

    /// <summary>Creates a configuration whose sizes are set by hand, with a window of 4096 on all but every sixth layer and a rotary base of 1,000,000 on those.</summary>
    public Gemma3Config() => RopeTheta = RopeReader.Gemma3Theta;

    [SetsRequiredMembers]
    private Gemma3Config(ConfigReader file)
        : base(file, maxPositions: 131072, logitCap: null)
    {
        LocalRope = RopeReader.ReadGemma3Local(file, Kind);
        int pattern = file.Count("sliding_window_pattern", Pattern);
        if (pattern != Pattern) LayerTypes ??= LayerTypeReader.Of(Layers, layer => (layer + 1) % pattern != 0);
        file.Require(!file.Has("attn_logit_softcapping"), "attn_logit_softcapping is given, but the attention of a Gemma 3 has no cap (null).");
        file.Require(
            SlidingWindow is not null || !Enumerable.Range(0, LayerTypes?.Count ?? Layers).Any(Slides), "sliding_window is null, but some layers have \"sliding_attention\".");
    }

    /// <summary>The base of the rotary positions of sliding layers (<c>rope_local_base_freq</c>). <see cref="DecoderConfig.RopeTheta"/> is that of the others.</summary>
    /// <value>10000 by default.</value>
    public double LocalRopeTheta
    {
        get => LocalRope.Theta;
        init => LocalRope = LocalRope with { Theta = value };
    }

    internal RopeSettings LocalRope { get; init; } = new DefaultRope(10000);

    internal override string Kind => "Gemma 3";

    internal override string Family => "gemma3_text";

    internal override DecoderParts Parts => new GemmaParts(this);

    internal override bool NormalizesHeads => true;

    internal override LayerReach ReachOf(int layer) => Slides(layer) ? new(SlidingWindow, LocalRope) : new(null, Rope);

    private protected override bool SlidesByDefault(int layer) => (layer + 1) % Pattern != 0;

    private protected override RopeSettings ReadRope(ConfigReader file) => RopeReader.ReadGemma3(file, Kind);

    private protected override void AddProblems(List<string> problems)
    {
        base.AddProblems(problems);
        AddCap(problems, nameof(LocalRopeTheta), LocalRopeTheta);
    }

    /// <summary>
    /// Reads a <c>config.json</c> of transformers 4 (<c>rope_theta</c>, <c>rope_local_base_freq</c>, <c>rope_scaling</c> and <c>sliding_window_pattern</c>) or 5
    /// (<c>rope_parameters</c> and <c>layer_types</c>).
    /// </summary>
    /// <param name="path">The file; a <c>generation_config.json</c> beside it is read too.</param>
    /// <returns>The configuration.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">It is no Gemma 3's, or fields are missing, wrong, not supported or contradict each other; all are listed.</exception>
    public static Gemma3Config FromFile(string path) => Read(path, "gemma3_text", file => new Gemma3Config(file));
}
