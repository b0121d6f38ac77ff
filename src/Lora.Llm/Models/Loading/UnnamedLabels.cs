using System.Collections;
using System.Globalization;

namespace Lora.Llm.Loading;

/// <summary>The names that transformers gives to classes without one. They are made when they are asked for: a file gives their number alone, which may be any.</summary>
internal sealed class UnnamedLabels(int count) : IReadOnlyList<string>
{
    public int Count => count;

    public string this[int index] => (uint)index < (uint)count
        ? string.Create(CultureInfo.InvariantCulture, $"LABEL_{index}")
        : throw new ArgumentOutOfRangeException(nameof(index), index, $"There are {count} labels.");

    public IEnumerator<string> GetEnumerator()
    {
        for (int i = 0; i < count; i++) yield return this[i];
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
