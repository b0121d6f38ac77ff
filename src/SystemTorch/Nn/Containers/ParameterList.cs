using System.Collections;
using System.Globalization;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchSharp.Modules
{
    /// <summary>Parameters by place; all of them are always listed.</summary>
    public class ParameterList : nn.Module, IList<Parameter>
    {
        private readonly List<Parameter> _list = [];
        private bool _registered;

        public ParameterList(params Parameter[] parameters)
            : base(nameof(ParameterList)) => _list.AddRange(parameters);

        public int Count => _list.Count;

        public bool IsReadOnly => false;

        public Parameter this[int index]
        {
            get => _list[index];
            set => _list[index] = value;
        }

        protected override void RegisterComponents()
        {
            if (_registered) return;
            _registered = true;
            for (int i = 0; i < _list.Count; i++) register_parameter(Name(i), _list[i]);
        }

        public override IEnumerable<(string name, Parameter parameter)> named_parameters(bool recurse = true)
        {
            for (int i = 0; i < _list.Count; i++)
                if (!_list[i].IsInvalid) yield return (Name(i), _list[i]);
        }

        public override bool has_parameter(string target) => get_parameter(target) is not null;

        public override Parameter get_parameter(string target) =>
            int.TryParse(target, NumberStyles.None, CultureInfo.InvariantCulture, out int place) && place < _list.Count ? _list[place] : null;

        protected override void _toEpilog(ScalarType? dtype, Device device, bool non_blocking)
        {
            for (int i = 0; i < _list.Count; i++)
            {
                Parameter parameter = _list[i];
                if (!ReplaceParameter(dtype, device, parameter, out Parameter replacement)) continue;
                _list[i] = replacement;
                if (_internal_params.ContainsKey(Name(i))) ConditionallyRegisterParameter(Name(i), replacement);
                parameter.Dispose();
            }
            Believe(device);
        }

        public void Add(Parameter item) => _list.Add(item);

        public void append(params Parameter[] parameters) => _list.AddRange(parameters);

        public void extend(IEnumerable<Parameter> parameters) => _list.AddRange(parameters);

        public void Insert(int index, Parameter item) => _list.Insert(index, item);

        public bool Remove(Parameter item) => _list.Remove(item);

        public void RemoveAt(int index) => _list.RemoveAt(index);

        public void Clear() => _list.Clear();

        public bool Contains(Parameter item) => _list.Contains(item);

        public int IndexOf(Parameter item) => _list.IndexOf(item);

        public void CopyTo(Parameter[] array, int arrayIndex) => _list.CopyTo(array, arrayIndex);

        public IEnumerator<Parameter> GetEnumerator() => _list.GetEnumerator();

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

        private static string Name(int index) => index.ToString(CultureInfo.InvariantCulture);
    }
}

namespace TorchSharp
{
    public static partial class torch
    {
        public static partial class nn
        {
            public static ParameterList ParameterList(params Parameter[] parameters) => new(parameters);
        }
    }
}
