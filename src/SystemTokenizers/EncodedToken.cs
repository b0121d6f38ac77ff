namespace Microsoft.ML.Tokenizers;

#pragma warning disable CA1067 // The package's struct does not override Equals(object) either, and this surface is a subset of its.

/// <summary>One token of a text: its id, its text, and where it lies in the text that was tokenized.</summary>
public readonly struct EncodedToken : IEquatable<EncodedToken>
{
    public EncodedToken(int id, string value, Range offset)
    {
        Id = id;
        Value = value;
        Offset = offset;
    }

    public int Id { get; }

    public string Value { get; }

    /// <summary>UTF-16 range in the normalized text where the tokenizer reports one, otherwise in the text itself.</summary>
    public Range Offset { get; }

    public bool Equals(EncodedToken other) => Id == other.Id && Value == other.Value && Offset.Equals(other.Offset);
}
