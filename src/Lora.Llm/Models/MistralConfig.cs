using System.Diagnostics.CodeAnalysis;
using Lora.Llm.Loading;

namespace Lora.Llm;

/// <summary>The shape of a Mistral, as its <c>config.json</c> gives it.</summary>
public sealed record MistralConfig : DecoderConfig
{
    /// <summary>Creates a configuration whose sizes are set by hand.</summary>
    public MistralConfig()
    {
    }

    [SetsRequiredMembers]
    private MistralConfig(ConfigReader file)
        : base(file, new FamilyDefaults(MaxPositions: 131072, KeyValueHeads: 8))
    {
        SlidingWindow = file.CountOrNone("sliding_window", 4096);
    }

    /// <summary>How many positions a token looks at, itself included (<c>sliding_window</c>); null for all before it. A file without the field means 4096.</summary>
    /// <value>Null by default.</value>
    public int? SlidingWindow { get; init; }

    internal override string Kind => "Mistral";

    internal override string? Family => "mistral";

    internal override int? Window => SlidingWindow;

    /// <summary>Reads a <c>config.json</c> of transformers 4 (<c>rope_theta</c> and <c>rope_scaling</c>) or 5 (<c>rope_parameters</c>).</summary>
    /// <param name="path">The file; a <c>generation_config.json</c> beside it is read too.</param>
    /// <returns>The configuration.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">It is no Mistral's, or fields are missing, wrong, not supported or contradict each other; all are listed.</exception>
    public static MistralConfig FromFile(string path) => Read(path, "mistral", file => new MistralConfig(file));
}
