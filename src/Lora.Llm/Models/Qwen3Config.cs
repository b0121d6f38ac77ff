using System.Diagnostics.CodeAnalysis;
using Lora.Llm.Loading;

namespace Lora.Llm;

/// <summary>The shape of a Qwen3, as its <c>config.json</c> gives it.</summary>
public sealed record Qwen3Config : DecoderConfig
{
    /// <summary>Creates a configuration whose sizes are set by hand.</summary>
    public Qwen3Config()
    {
    }

    [SetsRequiredMembers]
    private Qwen3Config(ConfigReader file)
        : base(file, new FamilyDefaults(MaxPositions: 32768, KeyValueHeads: 32, HeadDimension: 128))
    {
        AttentionBias = file.Truth("attention_bias", false);
        FullAttention.Require(file);
    }

    /// <summary>Whether the projections of the attention have biases (<c>attention_bias</c>).</summary>
    /// <value>False by default.</value>
    public bool AttentionBias { get; init; }

    internal override string Kind => "Qwen3";

    internal override string? Family => "qwen3";

    internal override bool InputBias => AttentionBias;

    internal override bool OutputBias => AttentionBias;

    internal override bool NormalizesHeads => true;

    /// <summary>Reads a <c>config.json</c> of transformers 4 (<c>rope_theta</c> and <c>rope_scaling</c>) or 5 (<c>rope_parameters</c>).</summary>
    /// <param name="path">The file; a <c>generation_config.json</c> beside it is read too.</param>
    /// <returns>The configuration.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">It is no Qwen3's, or fields are missing, wrong, not supported or contradict each other; all are listed.</exception>
    public static Qwen3Config FromFile(string path) => Read(path, "qwen3", file => new Qwen3Config(file));
}
