using System.Diagnostics.CodeAnalysis;
using Lora.Llm.Loading;

namespace Lora.Llm;

/// <summary>The shape of a RoBERTa, as its <c>config.json</c> gives it. Its positions begin behind the number of the padding token, so two of 514 are never used.</summary>
public sealed record RobertaConfig : EncoderConfig
{
    /// <summary>Creates a configuration whose sizes are set by hand. The padding token is 1.</summary>
    public RobertaConfig() => PadTokenId = 1;

    [SetsRequiredMembers]
    private RobertaConfig(ConfigReader file)
        : base(file, padTokenId: 1)
    {
    }

    internal override string Kind => "RoBERTa";

    internal override bool CountsFromPadding => true;

    /// <summary>Reads a <c>config.json</c>.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The configuration.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">It is no RoBERTa's, or fields are missing, wrong, not supported or contradict each other; all are listed.</exception>
    public static RobertaConfig FromFile(string path) => Read(path, "roberta", file => new RobertaConfig(file));
}
