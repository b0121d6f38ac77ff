using System.Collections;

namespace TorchSharp.Utils;

/// <summary>A dictionary that lists its entries in the order they were added. A key that is set again keeps its place.</summary>
public class OrderedDict<TKey, TValue> : IDictionary<TKey, TValue>, IList<(TKey, TValue)>
{
    private readonly Dictionary<TKey, TValue> _dict = [];
    private readonly List<(TKey, TValue)> _list = [];

    public TValue this[TKey key]
    {
        get => _dict[key];
        set
        {
            int place = Place(key);
            _dict[key] = value;
            if (place < 0) _list.Add((key, value));
            else _list[place] = (key, value);
        }
    }

    public (TKey, TValue) this[int index]
    {
        get => _list[index];
        set
        {
            (TKey key, TValue old) = _list[index];
            _dict.Remove(key);
            if (!_dict.TryAdd(value.Item1, value.Item2))
            {
                _dict[key] = old;
                throw new ArgumentException($"An item with the same key has already been added. Key: {value.Item1}");
            }
            _list[index] = value;
        }
    }

    public int Count => _dict.Count;

    public bool IsReadOnly => false;

    public ICollection<TKey> Keys => _list.ConvertAll(entry => entry.Item1);

    public ICollection<TValue> Values => _list.ConvertAll(entry => entry.Item2);

    public IEnumerable<TKey> keys()
    {
        foreach ((TKey key, _) in _list) yield return key;
    }

    public IEnumerable<TValue> values()
    {
        foreach ((_, TValue value) in _list) yield return value;
    }

    public IEnumerator<(TKey, TValue)> items() => _list.GetEnumerator();

    public IEnumerator<(TKey, TValue)> GetEnumerator() => _list.GetEnumerator();

    IEnumerator<KeyValuePair<TKey, TValue>> IEnumerable<KeyValuePair<TKey, TValue>>.GetEnumerator()
    {
        foreach ((TKey key, TValue value) in _list) yield return new(key, value);
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    public void Add(TKey key, TValue value)
    {
        _dict.Add(key, value);
        _list.Add((key, value));
    }

    public void Add(KeyValuePair<TKey, TValue> item) => Add(item.Key, item.Value);

    public void Add((TKey, TValue) item) => Add(item.Item1, item.Item2);

    public void Insert(int index, (TKey, TValue) item)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)index, (uint)_list.Count, nameof(index));
        _dict.Add(item.Item1, item.Item2);
        _list.Insert(index, item);
    }

    public bool Remove(TKey key)
    {
        int place = Place(key);
        if (place < 0) return false;
        RemoveAt(place);
        return true;
    }

    public bool Remove(KeyValuePair<TKey, TValue> item) => Contains(item) && Remove(item.Key);

    public bool Remove((TKey, TValue) item) => Contains(item) && Remove(item.Item1);

    public void RemoveAt(int index)
    {
        (TKey key, _) = _list[index];
        _list.RemoveAt(index);
        _dict.Remove(key);
    }

    public void Clear()
    {
        _dict.Clear();
        _list.Clear();
    }

    public void clear() => Clear();

    public bool ContainsKey(TKey key) => _dict.ContainsKey(key);

    public bool Contains(KeyValuePair<TKey, TValue> item) => ((ICollection<KeyValuePair<TKey, TValue>>)_dict).Contains(item);

    public bool Contains((TKey, TValue) item) => _list.Contains(item);

    public bool TryGetValue(TKey key, out TValue value) => _dict.TryGetValue(key, out value);

    public int IndexOf((TKey, TValue) item) => _list.IndexOf(item);

    public void CopyTo((TKey, TValue)[] array, int arrayIndex) => _list.CopyTo(array, arrayIndex);

    public void CopyTo(KeyValuePair<TKey, TValue>[] array, int arrayIndex)
    {
        foreach ((TKey key, TValue value) in _list) array[arrayIndex++] = new(key, value);
    }

    private int Place(TKey key) =>
        _dict.ContainsKey(key) ? _list.FindIndex(entry => EqualityComparer<TKey>.Default.Equals(entry.Item1, key)) : -1;
}
