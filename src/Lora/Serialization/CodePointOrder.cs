namespace Lora.Serialization;

/// <summary>
/// Orders text by code points, as Python and Rust sort it. Ordinal comparison in .NET goes by UTF-16 units, which puts a surrogate pair
/// before U+E000..U+FFFF.
/// </summary>
internal sealed class CodePointOrder : IComparer<string>
{
    internal static CodePointOrder Instance { get; } = new();

    public int Compare(string? x, string? y)
    {
        if (x is null || y is null)
        {
            return (x is null ? 0 : 1) - (y is null ? 0 : 1);
        }

        int common = x.AsSpan().CommonPrefixLength(y);
        if (common == x.Length || common == y.Length)
        {
            return x.Length - y.Length;
        }

        char left = x[common], right = y[common];
        return char.IsSurrogate(left) != char.IsSurrogate(right) ? (char.IsSurrogate(left) ? 1 : -1) : left - right;
    }
}
