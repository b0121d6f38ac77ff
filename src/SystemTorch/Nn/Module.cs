using TorchSharp.Modules;
using TorchSharp.Utils;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        /// <summary>The base of all modules. Unlike the package's it has no native counterpart.</summary>
        public partial class Module : IDisposable
        {
            protected OrderedDict<string, Module> _internal_submodules = new();
            protected OrderedDict<string, (Tensor, bool)> _internal_buffers = new();
            protected OrderedDict<string, Parameter> _internal_params = new();
            protected DeviceType _deviceType = DeviceType.CPU;
            protected int _deviceIndex = -1;
            protected string name;

            private bool _training = true;
            private bool _disposed;

            protected Module(string name) => this.name = name;

            public virtual bool training => _training;

            public virtual string GetName() => name;

            public virtual void train(bool train = true)
            {
                _training = train;
                foreach ((_, Module child) in named_children()) child.train(train);
            }

            public virtual void eval() => train(false);

            public virtual Module apply(Action<Module> fn)
            {
                foreach ((_, Module child) in _internal_submodules) child.apply(fn);
                fn(this);
                return this;
            }

            public virtual void zero_grad(bool set_to_none = true)
            {
                foreach ((_, Parameter parameter) in named_parameters())
                {
                    using Tensor gradient = parameter.grad;
                    if (gradient is null) continue;
                    if (set_to_none) parameter.grad = null;
                    else ZeroInPlace(gradient);
                }
            }

            private static void ZeroInPlace(Tensor gradient)
            {
                using IDisposable _ = no_grad();
                Interop.Ops.InPlace("detach_", gradient);
                Interop.Ops.InPlace("zero_", gradient);
            }

            public void Dispose()
            {
                Dispose(true);
                GC.SuppressFinalize(this);
            }

            protected virtual void Dispose(bool disposing)
            {
                if (!disposing || _disposed) return;
                _disposed = true;
                foreach ((_, Tensor buffer) in named_buffers(recurse: false).ToList()) buffer.Dispose();
                foreach ((_, Parameter parameter) in named_parameters(recurse: false).ToList()) parameter.Dispose();
                foreach ((_, Module child) in named_modules().ToList()) child.Dispose();
                foreach (Tensor.Held tensor in _natives.Values) tensor.Dispose();
            }
        }
    }
}
