namespace Microsoft.ML.Tokenizers;

/// <summary>How a text is to be encoded. A new one considers everything and sets no limit.</summary>
public struct EncodeSettings
{
    public EncodeSettings()
    {
        ConsiderPreTokenization = true;
        ConsiderNormalization = true;
        MaxTokenCount = int.MaxValue;
    }

    public bool ConsiderPreTokenization { get; set; }

    public bool ConsiderNormalization { get; set; }

    public int MaxTokenCount { get; set; }
}
