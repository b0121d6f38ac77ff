using System.Diagnostics.CodeAnalysis;
using Lora.Llm.Loading;

namespace Lora.Llm;

/// <summary>The shape of a Qwen2, as its <c>config.json</c> gives it.</summary>
public sealed record Qwen2Config : DecoderConfig
{
    /// <summary>Creates a configuration whose sizes are set by hand.</summary>
    public Qwen2Config()
    {
    }

    [SetsRequiredMembers]
    private Qwen2Config(ConfigReader file)
        : base(file, new FamilyDefaults(MaxPositions: 32768, KeyValueHeads: 32))
    {
        FullAttention.Require(file);
    }

    internal override string Kind => "Qwen2";

    internal override string? Family => "qwen2";

    internal override bool InputBias => true;

    /// <summary>Reads a <c>config.json</c> of transformers 4 (<c>rope_theta</c> and <c>rope_scaling</c>) or 5 (<c>rope_parameters</c>).</summary>
    /// <param name="path">The file; a <c>generation_config.json</c> beside it is read too.</param>
    /// <returns>The configuration.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">It is no Qwen2's, or fields are missing, wrong, not supported or contradict each other; all are listed.</exception>
    public static Qwen2Config FromFile(string path) => Read(path, "qwen2", file => new Qwen2Config(file));
}
