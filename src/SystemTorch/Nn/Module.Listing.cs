using TorchSharp.Modules;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public partial class Module
        {
            public virtual IEnumerable<(string name, Parameter parameter)> named_parameters(bool recurse = true)
            {
                var seen = new HashSet<IntPtr>();
                foreach ((string key, Parameter parameter) in _internal_params)
                    if (!parameter.IsInvalid && seen.Add(parameter.Handle)) yield return (key, parameter);
                if (!recurse) yield break;
                foreach ((string child, Module module) in _internal_submodules)
                {
                    foreach ((string key, Parameter parameter) in module.named_parameters(true))
                        if (!parameter.IsInvalid && seen.Add(parameter.Handle)) yield return ($"{child}.{key}", parameter);
                }
            }

            // The package lists buffers that are not persistent in neither case.
            public virtual IEnumerable<(string name, Tensor buffer)> named_buffers(bool recurse = true, bool include_nonpersistent = true)
            {
                var seen = new HashSet<IntPtr>();
                foreach ((string key, (Tensor buffer, bool persistent)) in _internal_buffers)
                    if (persistent && !buffer.IsInvalid && seen.Add(buffer.Handle)) yield return (key, buffer);
                if (!recurse) yield break;
                foreach ((string child, Module module) in _internal_submodules)
                {
                    foreach ((string key, Tensor buffer) in module.named_buffers(true, include_nonpersistent))
                        if (!buffer.IsInvalid && seen.Add(buffer.Handle)) yield return ($"{child}.{key}", buffer);
                }
            }

            public virtual IEnumerable<(string name, Module module)> named_children()
            {
                foreach ((string key, Module module) in _internal_submodules) yield return (key, module);
            }

            /// <summary>The direct children first, then what is beneath each; a module in two places comes twice.</summary>
            public virtual IEnumerable<(string name, Module module)> named_modules()
            {
                foreach ((string key, Module module) in _internal_submodules) yield return (key, module);
                foreach ((string child, Module module) in _internal_submodules)
                    foreach ((string key, Module below) in module.named_modules()) yield return ($"{child}.{key}", below);
            }

            public virtual IEnumerable<Parameter> parameters(bool recurse = true) => named_parameters(recurse).Select(entry => entry.parameter);

            public virtual IEnumerable<Tensor> buffers(bool recurse = true, bool include_nonpersistent = true) =>
                named_buffers(recurse, include_nonpersistent).Select(entry => entry.buffer);

            public virtual IEnumerable<Module> children() => named_children().Select(entry => entry.module);

            public virtual IEnumerable<Module> modules() => named_modules().Select(entry => entry.module);

            public virtual bool has_parameter(string target) => get_parameter(target) is not null;

            public virtual bool has_buffer(string target) => get_buffer(target) is not null;

            public virtual Parameter get_parameter(string target)
            {
                ArgumentNullException.ThrowIfNull(target);
                return _internal_params.TryGetValue(target, out Parameter parameter) ? parameter : Below(target, (m, rest) => m.get_parameter(rest));
            }

            public virtual Tensor get_buffer(string target)
            {
                ArgumentNullException.ThrowIfNull(target);
                return _internal_buffers.TryGetValue(target, out (Tensor Buffer, bool) entry) ? entry.Buffer : Below(target, (m, rest) => m.get_buffer(rest));
            }

            private T Below<T>(string target, Func<Module, string, T> get)
                where T : class
            {
                int dot = target.IndexOf('.', StringComparison.Ordinal);
                if (dot < 0) return null;
                string child = target[..dot];
                foreach ((string key, Module module) in named_children())
                    if (key == child && get(module, target[(dot + 1)..]) is T found) return found;
                return null;
            }

            protected virtual Parameter[] _parameters(bool recurse = true) => [.. parameters(recurse)];

            protected virtual (string name, Parameter parameter)[] _named_parameters() => [.. named_parameters()];

            protected virtual (string name, Tensor buffer)[] _named_buffers() => [.. named_buffers()];
        }
    }
}
