using System.Collections;

namespace Lora;

/// <summary>An immutable list that is compared by its items in their order, so that configurations compare by value.</summary>
internal sealed class SettingList<T> : IReadOnlyList<T>, IEquatable<SettingList<T>>
{
    private readonly T[] _items;

    private SettingList(T[] items, bool isSingle)
    {
        _items = items;
        IsSingle = isSingle;
    }

    internal static SettingList<T> Empty { get; } = new([], isSingle: false);

    public int Count => _items.Length;

    public T this[int index] => _items[index];

    /// <summary>Whether the list stands for one item that a file holds without brackets. It is no part of the value.</summary>
    internal bool IsSingle { get; }

    internal static SettingList<T> Of(IReadOnlyList<T> items)
    {
        ArgumentNullException.ThrowIfNull(items);
        return items as SettingList<T> ?? new SettingList<T>([.. items], isSingle: false);
    }

    internal static SettingList<T> Single(T item) => new([item], isSingle: true);

    public IEnumerator<T> GetEnumerator() => _items.AsEnumerable().GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    public bool Equals(SettingList<T>? other) => other is not null && _items.SequenceEqual(other._items);

    public override bool Equals(object? obj) => Equals(obj as SettingList<T>);

    public override int GetHashCode() => _items.Aggregate(0, HashCode.Combine);

    public override string ToString() => $"[{string.Join(", ", _items)}]";
}
