using System.Globalization;
using System.Runtime.CompilerServices;
using TorchSharp.Interop;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchSharp.Modules
{
    /// <summary>Calls modules one after the other and disposes what lies between them. Its children are in lists of its own, not registered.</summary>
    public class Sequential : nn.Module<Tensor, Tensor>
    {
        private readonly List<nn.IModule<Tensor, Tensor>> _modules = [];
        private readonly List<string> _names = [];

        protected Sequential(params (string name, nn.Module<Tensor, Tensor> submodule)[] modules)
            : this((IEnumerable<(string, nn.Module<Tensor, Tensor>)>)modules)
        {
        }

        protected Sequential(params nn.Module<Tensor, Tensor>[] modules)
            : this((IEnumerable<nn.Module<Tensor, Tensor>>)modules)
        {
        }

        internal Sequential(IEnumerable<(string, nn.Module<Tensor, Tensor>)> modules)
            : this()
        {
            foreach ((string name, nn.Module<Tensor, Tensor> module) in modules) Add(name, module);
        }

        internal Sequential(IEnumerable<nn.Module<Tensor, Tensor>> modules)
            : this()
        {
            foreach (nn.Module<Tensor, Tensor> module in modules) append(module);
        }

        internal Sequential()
            : base("torch::nn::SequentialImpl")
        {
        }

        public int Count => _modules.Count;

        [IndexerName("SequentialItems")]
        public nn.IModule<Tensor, Tensor> this[int index] => _modules[index];

        [IndexerName("SequentialItems")]
        public Sequential this[(int? start, int? end) index]
        {
            get
            {
                int start = index.start ?? 0, end = index.end ?? Count;
                return Slice(start < 0 ? start + Count : start, end < 0 ? end + Count : end);
            }
        }

        [IndexerName("SequentialItems")]
        public Sequential this[Range index] => Slice(index.Start.GetOffset(Count), index.End.GetOffset(Count));

        public Sequential append(string name, nn.IModule<Tensor, Tensor> module)
        {
            Add(name, module);
            return this;
        }

        public Sequential append(nn.IModule<Tensor, Tensor> module) => append(Count.ToString(CultureInfo.InvariantCulture), module);

        public override Tensor forward(Tensor tensor)
        {
            if (Count == 0) return Ops.Tensor("alias", tensor);
            Tensor current = _modules[0].call(tensor);
            for (int i = 1; i < Count; i++)
            {
                Tensor previous = current;
                current = _modules[i].call(previous);
                previous.Dispose();
            }
            return current;
        }

        public override IEnumerable<(string name, Parameter parameter)> named_parameters(bool recurse = true)
        {
            if (!recurse) yield break;
            var seen = new HashSet<IntPtr>();
            foreach ((string child, nn.Module module) in named_children())
            {
                foreach ((string key, Parameter parameter) in module.named_parameters(true))
                    if (!parameter.IsInvalid && seen.Add(parameter.Handle)) yield return ($"{child}.{key}", parameter);
            }
        }

        public override IEnumerable<(string name, Tensor buffer)> named_buffers(bool recurse = true, bool include_persistent = true)
        {
            if (!recurse) yield break;
            var seen = new HashSet<IntPtr>();
            foreach ((string child, nn.Module module) in named_children())
            {
                foreach ((string key, Tensor buffer) in module.named_buffers(true, include_persistent))
                    if (!buffer.IsInvalid && seen.Add(buffer.Handle)) yield return ($"{child}.{key}", buffer);
            }
        }

        public override IEnumerable<(string name, nn.Module module)> named_children()
        {
            for (int i = 0; i < Count; i++) yield return (_names[i], (nn.Module)_modules[i]);
        }

        public override IEnumerable<(string name, nn.Module module)> named_modules()
        {
            foreach ((string name, nn.Module module) in named_children()) yield return (name, module);
            foreach ((string child, nn.Module module) in named_children())
                foreach ((string key, nn.Module below) in module.named_modules()) yield return ($"{child}.{key}", below);
        }

        public override nn.Module apply(Action<nn.Module> fn)
        {
            foreach ((_, nn.Module module) in named_children()) module.apply(fn);
            fn(this);
            return this;
        }

        public override void train(bool on = true) => base.train(on);

        public override void eval() => train(false);

        protected internal override nn.Module _to(Device device, ScalarType dtype, bool non_blocking)
        {
            foreach ((_, nn.Module module) in named_children()) module._to(device, dtype, non_blocking);
            Believe(device);
            return this;
        }

        protected internal override nn.Module _to(DeviceType deviceType, int deviceIndex, bool non_blocking)
        {
            foreach ((_, nn.Module module) in named_children()) module._to(deviceType, deviceIndex, non_blocking);
            Believe(new Device(deviceType, deviceIndex));
            return this;
        }

        protected internal override nn.Module _to(ScalarType dtype, bool non_blocking)
        {
            foreach ((_, nn.Module module) in named_children()) module._to(dtype, non_blocking);
            return this;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                foreach ((_, nn.Module module) in named_children()) module.Dispose();
            base.Dispose(disposing);
        }

        private void Add(string name, nn.IModule<Tensor, Tensor> module)
        {
            _names.Add(string.IsNullOrEmpty(name) ? Count.ToString(CultureInfo.InvariantCulture) : name);
            _modules.Add(module);
        }

        // Shares the modules, and keeps their names.
        private Sequential Slice(int start, int end)
        {
            if (start < 0 || end > Count) throw new IndexOutOfRangeException("Sequential index out of range.");
            var slice = new Sequential();
            for (int i = start; i < end; i++) slice.Add(_names[i], _modules[i]);
            return slice;
        }
    }
}

namespace TorchSharp
{
    public static partial class torch
    {
        public static partial class nn
        {
            public static Sequential Sequential() => new();

            public static Sequential Sequential(params (string name, Module<Tensor, Tensor> submodule)[] modules) =>
                new((IEnumerable<(string, Module<Tensor, Tensor>)>)modules);

            public static Sequential Sequential(params Tuple<string, Module<Tensor, Tensor>>[] modules) => new(modules.Select(m => (m.Item1, m.Item2)));

            public static Sequential Sequential(params Module<Tensor, Tensor>[] modules) => new((IEnumerable<Module<Tensor, Tensor>>)modules);

            public static Sequential Sequential(IEnumerable<(string name, Module<Tensor, Tensor> submodule)> modules) => new(modules);

            public static Sequential Sequential(IEnumerable<Tuple<string, Module<Tensor, Tensor>>> modules) => new(modules.Select(m => (m.Item1, m.Item2)));

            public static Sequential Sequential(IEnumerable<Module<Tensor, Tensor>> modules) => new(modules);
        }
    }
}
