namespace Microsoft.ML.Tokenizers;

/// <summary>Brings a text into a normal form before it is split and tokenized.</summary>
public abstract class Normalizer
{
    protected Normalizer()
    {
    }

    public abstract string Normalize(string original);

    public abstract string Normalize(ReadOnlySpan<char> original);
}
