using TorchSharp.Interop;
using TorchSharp.Modules;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public partial class Module
        {
            // What a native module of the package (an embedding, an attention) holds beside the wrappers it is listed with: the wrappers may die with a
            // scope, the module goes on working. Not tensors in fields, which RegisterComponents would take for buffers.
            private readonly Dictionary<string, Tensor.Held> _natives = [];

            /// <summary>Registers a parameter that the module also keeps for itself, as the package's native modules do.</summary>
            private protected void RegisterNative(string name, Tensor data, bool requires_grad = true)
            {
                var parameter = new Parameter(data, requires_grad);
                SetNative(name, parameter);
                register_parameter(name, parameter);
            }

            private protected void SetNative(string name, Tensor value)
            {
                if (_natives.Remove(name, out Tensor.Held old)) old.Dispose();
                if (value is not null) _natives.Add(name, new Tensor.Held(value));
            }

            /// <summary>The module's own hold on a tensor, or null.</summary>
            private protected Tensor Natively(string name) => _natives.GetValueOrDefault(name);

            /// <summary>A new wrapper of the module's own tensor, or null.</summary>
            private protected Parameter WrapNative(string name) =>
                _natives.TryGetValue(name, out Tensor.Held held) ? new Parameter(Native.Check(Native.st_tensor_share(held))) : null;

            // Native modules convert in place: wrappers and optimizers keep their tensor objects.
            private void ConvertNatives(ScalarType? dtype, Device device, bool non_blocking)
            {
                if (_natives.Count == 0) return;
                using IDisposable _ = no_grad();
                foreach (Tensor.Held tensor in _natives.Values)
                {
                    if (!WillChange(tensor, dtype, device)) continue;
                    using Tensor converted = Converted(tensor, dtype, device, non_blocking);
                    Ops.Run("set_data", tensor, converted);
                }
            }
        }
    }
}
