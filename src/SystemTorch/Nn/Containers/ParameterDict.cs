using System.Collections;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace TorchSharp.Modules
{
    /// <summary>Parameters by name; all of them are always listed.</summary>
    public class ParameterDict : nn.Module, IDictionary<string, Parameter>, IList<(string, Parameter)>
    {
        private readonly OrderedDict<string, Parameter> _dict = new();
        private bool _registered;

        public ParameterDict()
            : base(nameof(ParameterDict))
        {
        }

        public int Count => _dict.Count;

        public bool IsReadOnly => false;

        public ICollection<string> Keys => _dict.Keys;

        public ICollection<Parameter> Values => _dict.Values;

        public Parameter this[string key]
        {
            get => _dict[key];
            set => _dict[key] = value;
        }

        public (string, Parameter) this[int index]
        {
            get => _dict[index];
            set => _dict[index] = value;
        }

        protected override void RegisterComponents()
        {
            if (_registered) return;
            _registered = true;
            foreach ((string key, Parameter parameter) in _dict) register_parameter(key, parameter);
        }

        public override IEnumerable<(string name, Parameter parameter)> named_parameters(bool recurse)
        {
            foreach ((string key, Parameter parameter) in _dict)
                if (!parameter.IsInvalid) yield return (key, parameter);
        }

        public override bool has_parameter(string target) => _dict.ContainsKey(target);

        public override Parameter get_parameter(string target) => _dict.TryGetValue(target, out Parameter parameter) ? parameter : null;

        protected override void _toEpilog(ScalarType? dtype, Device device, bool non_blocking)
        {
            foreach (string key in _dict.Keys)
            {
                Parameter parameter = _dict[key];
                if (!ReplaceParameter(dtype, device, parameter, out Parameter replacement)) continue;
                _dict[key] = replacement;
                if (_internal_params.ContainsKey(key)) ConditionallyRegisterParameter(key, replacement);
                parameter.Dispose();
            }
            Believe(device);
        }

        public IEnumerable<string> keys() => _dict.keys();

        public IEnumerable<Parameter> values() => _dict.values();

        public IEnumerator<(string, Parameter)> items() => _dict.items();

        public void Add(string key, Parameter value) => _dict.Add(key, value);

        public void Add((string, Parameter) item) => _dict.Add(item);

        public void Add(KeyValuePair<string, Parameter> item) => _dict.Add(item);

        public void Insert(int index, (string, Parameter) item) => _dict.Insert(index, item);

        public bool Remove(string key) => _dict.Remove(key);

        public bool Remove((string, Parameter) item) => _dict.Remove(item);

        public bool Remove(KeyValuePair<string, Parameter> item) => _dict.Remove(item);

        public void RemoveAt(int index) => _dict.RemoveAt(index);

        public void Clear() => _dict.Clear();

        public void clear() => Clear();

        public bool ContainsKey(string key) => _dict.ContainsKey(key);

        public bool Contains((string, Parameter) item) => _dict.Contains(item);

        public bool Contains(KeyValuePair<string, Parameter> item) => _dict.Contains(item);

        public bool TryGetValue(string key, out Parameter value) => _dict.TryGetValue(key, out value);

        public int IndexOf((string, Parameter) item) => _dict.IndexOf(item);

        public void CopyTo((string, Parameter)[] array, int arrayIndex) => _dict.CopyTo(array, arrayIndex);

        public void CopyTo(KeyValuePair<string, Parameter>[] array, int arrayIndex) => _dict.CopyTo(array, arrayIndex);

        public IEnumerator<(string, Parameter)> GetEnumerator() => _dict.GetEnumerator();

        IEnumerator<KeyValuePair<string, Parameter>> IEnumerable<KeyValuePair<string, Parameter>>.GetEnumerator() =>
            ((IDictionary<string, Parameter>)_dict).GetEnumerator();

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}

namespace TorchSharp
{
    public static partial class torch
    {
        public static partial class nn
        {
            public static ParameterDict ParameterDict(params (string, Parameter)[] parameters)
            {
                var dictionary = new ParameterDict();
                foreach ((string, Parameter) entry in parameters) dictionary.Add(entry);
                return dictionary;
            }
        }
    }
}
