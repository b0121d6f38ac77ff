using System.Diagnostics.CodeAnalysis;
using Lora.Llm.Loading;

namespace Lora.Llm;

/// <summary>The shape of a BERT, as its <c>config.json</c> gives it.</summary>
public sealed record BertConfig : EncoderConfig
{
    /// <summary>Creates a configuration whose sizes are set by hand. The padding token is 0.</summary>
    public BertConfig()
    {
    }

    [SetsRequiredMembers]
    private BertConfig(ConfigReader file)
        : base(file, padTokenId: 0)
    {
    }

    internal override string Kind => "BERT";

    internal override bool CountsFromPadding => false;

    /// <summary>Reads a <c>config.json</c>.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The configuration.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">It is no BERT's, or fields are missing, wrong, not supported or contradict each other; all are listed.</exception>
    public static BertConfig FromFile(string path) => Read(path, "bert", file => new BertConfig(file));
}
