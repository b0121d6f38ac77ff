using System.Diagnostics.CodeAnalysis;
using Lora.Llm.Loading;

namespace Lora.Llm;

/// <summary>The shape of a Llama, as its <c>config.json</c> gives it.</summary>
public sealed record LlamaConfig : DecoderConfig
{
    /// <summary>Creates a configuration whose sizes are set by hand.</summary>
    public LlamaConfig()
    {
    }

    [SetsRequiredMembers]
    private LlamaConfig(ConfigReader file)
        : base(file, new FamilyDefaults(MaxPositions: 2048))
    {
        AttentionBias = file.Truth("attention_bias", false);
        MlpBias = file.Truth("mlp_bias", false);
    }

    /// <summary>Whether the projections of the attention have biases (<c>attention_bias</c>).</summary>
    /// <value>False by default.</value>
    public bool AttentionBias { get; init; }

    /// <summary>Whether the projections of the feed-forward part have biases (<c>mlp_bias</c>).</summary>
    /// <value>False by default.</value>
    public bool MlpBias { get; init; }

    internal override string Kind => "Llama";

    internal override string? Family => "llama";

    internal override bool InputBias => AttentionBias;

    internal override bool OutputBias => AttentionBias;

    internal override bool FeedForwardBias => MlpBias;

    /// <summary>Reads a <c>config.json</c> of transformers 4 (<c>rope_theta</c> and <c>rope_scaling</c>) or 5 (<c>rope_parameters</c>).</summary>
    /// <param name="path">The file; a <c>generation_config.json</c> beside it is read too.</param>
    /// <returns>The configuration.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">It is no Llama's, or fields are missing, wrong, not supported or contradict each other; all are listed.</exception>
    public static LlamaConfig FromFile(string path) => Read(path, "llama", file => new LlamaConfig(file));
}
