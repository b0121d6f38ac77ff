using System.Diagnostics.CodeAnalysis;
using Lora.Llm.Blocks;
using Lora.Llm.Loading;

namespace Lora.Llm;

/// <summary>The shape of a Phi-3, as its <c>config.json</c> gives it.</summary>
public sealed record Phi3Config : DecoderConfig
{
    /// <summary>Creates a configuration whose sizes are set by hand.</summary>
    public Phi3Config() => NormEpsilon = 1e-5;

    [SetsRequiredMembers]
    private Phi3Config(ConfigReader file)
        : base(file, new FamilyDefaults(MaxPositions: 4096) { NormEpsilon = 1e-5, BeginTokenId = 1, EndTokenId = 32000, PadTokenId = 32000 })
    {
        SlidingWindow = file.CountOrNone("sliding_window", null);
        ResidualDropout = file.Fraction("resid_pdrop", 0);
    }

    /// <summary>How many positions a token looks at, itself included (<c>sliding_window</c>); null for all before it.</summary>
    /// <value>Null by default.</value>
    public int? SlidingWindow { get; init; }

    /// <summary>The share of what attention and feed-forward add that training drops (<c>resid_pdrop</c>).</summary>
    /// <value>0 by default.</value>
    public double ResidualDropout { get; init; }

    /// <summary>The share of each head's components that rotary positions turn, the first ones (<c>partial_rotary_factor</c>).</summary>
    /// <value>1 by default.</value>
    public double PartialRotaryFactor
    {
        get => Rope.Part;
        init => Rope = Rope with { Part = value };
    }

    internal override string Kind => "Phi-3";

    internal override string Family => "phi3";

    internal override DecoderParts Parts => new Phi3Parts(this);

    internal override int? Window => SlidingWindow;

    private protected override RopeSettings ReadRope(ConfigReader file) => RopeReader.ReadPhi3(file, this);

    private protected override void AddProblems(List<string> problems)
    {
        if (ResidualDropout is not (>= 0 and < 1)) problems.Add(FormattableString.Invariant($"ResidualDropout must be at least 0 and below 1, but is {ResidualDropout}."));
        int width = Rope.WidthOf(HeadDimension);
        if (PartialRotaryFactor is not (> 0 and <= 1) || width < 2 || width % 2 != 0)
            problems.Add(FormattableString.Invariant($"PartialRotaryFactor must leave an even number of a head's {HeadDimension} components to turn, but is {PartialRotaryFactor}."));
    }

    /// <summary>Reads a <c>config.json</c> of transformers 4 (<c>rope_theta</c> and <c>rope_scaling</c>) or 5 (<c>rope_parameters</c>).</summary>
    /// <param name="path">The file; a <c>generation_config.json</c> beside it is read too.</param>
    /// <returns>The configuration.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">It is no Phi-3's, or fields are missing, wrong, not supported or contradict each other; all are listed.</exception>
    public static Phi3Config FromFile(string path) => Read(path, "phi3", file => new Phi3Config(file));
}
