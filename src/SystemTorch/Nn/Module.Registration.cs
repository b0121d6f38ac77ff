using System.Reflection;
using TorchSharp.Modules;
using TorchSharp.Utils;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public partial class Module
        {
            private const BindingFlags OwnMembers = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance;

            private bool _areComponentsRegistered;

            /// <summary>Registers the modules, parameters and tensors in the fields of this module; the first call only.</summary>
            protected virtual void RegisterComponents()
            {
                if (_areComponentsRegistered) return;
                _areComponentsRegistered = true;
                foreach (FieldInfo field in GetType().GetFields(OwnMembers))
                {
                    switch (field.GetValue(this))
                    {
                        case Module module:
                            register_module(ComponentNameAttribute.Of(field), module);
                            break;
                        case Parameter parameter:
                            register_parameter(ComponentNameAttribute.Of(field), parameter);
                            break;
                        case Tensor tensor:
                            register_buffer(ComponentNameAttribute.Of(field), tensor);
                            break;
                    }
                }
            }

            /// <summary>Adds a child; <c>null</c> removes the one of that name.</summary>
            public virtual void register_module(string name, Module submodule)
            {
                if (submodule is null || submodule._disposed)
                {
                    _internal_submodules.Remove(name);
                    return;
                }
                if (name.Contains('.', StringComparison.Ordinal)) throw new ArgumentException($"module name can't contain \".\", got: {name}");
                if (string.IsNullOrEmpty(name)) throw new ArgumentException("module name can't be empty string \"\"");
                if (_internal_submodules.ContainsKey(name)) throw new InvalidOperationException($"Sub-module {name} is already registered.");
                submodule.RegisterComponents();
                _internal_submodules.Add(name, submodule);
            }

            public void add_module(string name, Module module) => register_module(name, module);

            public virtual void register_parameter(string name, Parameter param)
            {
                if (param is null) throw new ArgumentNullException(nameof(param), "A null tensor cannot be registered as a parameter.");
                if (_internal_params.ContainsKey(name)) throw new InvalidOperationException($"Parameter {name} is already registered.");
                _internal_params.Add(name, param);
            }

            public virtual void register_buffer(string name, Tensor tensor, bool persistent = true)
            {
                if (tensor is null) throw new ArgumentNullException(nameof(tensor), "A null tensor cannot be registered as a buffer.");
                if (_internal_buffers.ContainsKey(name)) throw new InvalidOperationException($"Tensor {name} is already registered.");
                _internal_buffers.Add(name, (tensor, persistent));
            }

            /// <summary>Sets a parameter, or removes it when <paramref name="value"/> is null.</summary>
            protected void ConditionallyRegisterParameter(string name, Parameter value)
            {
                if (value is null) _internal_params.Remove(name);
                else _internal_params[name] = value;
            }

            protected void ConditionallyRegisterParameter(string name, Tensor value) => ConditionallyRegisterParameter(name, value as Parameter);

            /// <summary>Sets a buffer, or removes it when <paramref name="value"/> is null.</summary>
            protected void ConditionallyRegisterBuffer(string name, Tensor value, bool persistent = true)
            {
                if (value is null) _internal_buffers.Remove(name);
                else _internal_buffers[name] = (value, persistent);
            }

            /// <summary>The setter of a layer's weight: disposes what was there, unless it is the same.</summary>
            private protected void SetWeight(ref Parameter field, Parameter weight)
            {
                ArgumentNullException.ThrowIfNull(weight);
                if (weight.Handle == field?.Handle) return;
                field?.Dispose();
                field = weight.Own();
                ConditionallyRegisterParameter("weight", field);
            }

            /// <summary>The setter of a layer's bias: disposes what was there, as in the package even when it is the same object.</summary>
            private protected void SetBias(ref Parameter field, Parameter bias)
            {
                field?.Dispose();
                field = bias.Own();
                ConditionallyRegisterParameter("bias", field);
            }

            protected void ClearModules() => _internal_submodules.clear();
        }
    }
}
