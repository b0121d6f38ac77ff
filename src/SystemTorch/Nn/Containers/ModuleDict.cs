using System.Collections;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace TorchSharp.Modules
{
    /// <summary>
    /// Modules by name. They become its children once, when the dictionary itself is registered under a parent: what is added or replaced later is in the
    /// dictionary only. As in the package a module that holds one cannot be converted, since both its indexers are called Item.
    /// </summary>
    public class ModuleDict<T> : nn.Module, IDictionary<string, T>, IList<(string, T)>
        where T : nn.Module
    {
        private readonly OrderedDict<string, T> _dict = new();
        private bool _registered;

        public ModuleDict()
            : base("ModuleDict")
        {
        }

        public int Count => _dict.Count;

        public bool IsReadOnly => false;

        public ICollection<string> Keys => _dict.Keys;

        public ICollection<T> Values => _dict.Values;

        public T this[string key]
        {
            get => _dict[key];
            set => _dict[key] = value;
        }

        public (string, T) this[int index]
        {
            get => _dict[index];
            set => _dict[index] = value;
        }

        protected override void RegisterComponents()
        {
            if (_registered) return;
            _registered = true;
            foreach ((string key, T module) in _dict) register_module(key, module);
        }

        public IEnumerable<string> keys() => _dict.keys();

        public IEnumerable<T> values() => _dict.values();

        public IEnumerator<(string, T)> items() => _dict.items();

        public void Add(string key, T value) => _dict.Add(key, value);

        public void Add((string, T) item) => _dict.Add(item);

        public void Add(KeyValuePair<string, T> item) => _dict.Add(item);

        public void Insert(int index, (string, T) item) => _dict.Insert(index, item);

        public bool Remove(string key) => _dict.Remove(key);

        public bool Remove((string, T) item) => _dict.Remove(item);

        public bool Remove(KeyValuePair<string, T> item) => _dict.Remove(item);

        public void RemoveAt(int index) => _dict.RemoveAt(index);

        public void Clear() => _dict.Clear();

        public void clear() => Clear();

        public bool ContainsKey(string key) => _dict.ContainsKey(key);

        public bool Contains((string, T) item) => _dict.Contains(item);

        public bool Contains(KeyValuePair<string, T> item) => _dict.Contains(item);

        public bool TryGetValue(string key, out T value) => _dict.TryGetValue(key, out value);

        public int IndexOf((string, T) item) => _dict.IndexOf(item);

        public void CopyTo((string, T)[] array, int arrayIndex) => _dict.CopyTo(array, arrayIndex);

        public void CopyTo(KeyValuePair<string, T>[] array, int arrayIndex) => _dict.CopyTo(array, arrayIndex);

        public IEnumerator<(string, T)> GetEnumerator() => _dict.GetEnumerator();

        IEnumerator<KeyValuePair<string, T>> IEnumerable<KeyValuePair<string, T>>.GetEnumerator() => ((IDictionary<string, T>)_dict).GetEnumerator();

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}

namespace TorchSharp
{
    public static partial class torch
    {
        public static partial class nn
        {
            public static ModuleDict<T> ModuleDict<T>(params (string, T)[] modules)
                where T : Module
            {
                var dictionary = new ModuleDict<T>();
                foreach ((string, T) entry in modules) dictionary.Add(entry);
                return dictionary;
            }

            public static ModuleDict<Module> ModuleDict(params (string, Module)[] modules) => ModuleDict<Module>(modules);
        }
    }
}
