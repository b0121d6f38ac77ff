using System.Reflection;
using TorchSharp.Interop;
using TorchSharp.Modules;
using TorchSharp.Utils;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public partial class Module
        {
            protected internal virtual Module _to(Device device, ScalarType dtype, bool non_blocking)
            {
                RequireConvertible(dtype);
                InitializeDeviceType(device.type);
                ConvertNatives(dtype, device, non_blocking);
                _toEpilog(device, dtype, non_blocking);
                return this;
            }

            /// <summary>Moves the module, unless it believes to be there already.</summary>
            protected internal virtual Module _to(DeviceType deviceType, int deviceIndex, bool non_blocking)
            {
                InitializeDeviceType(deviceType);
                if (deviceType == _deviceType && deviceIndex == _deviceIndex) return this;
                ConvertNatives(null, new Device(deviceType, deviceIndex), non_blocking);
                _toEpilog(deviceType, deviceIndex, non_blocking);
                return this;
            }

            protected internal virtual Module _to(ScalarType dtype, bool non_blocking)
            {
                RequireConvertible(dtype);
                ConvertNatives(dtype, null, non_blocking);
                _toEpilog(dtype, non_blocking);
                return this;
            }

            public Module _to(Tensor other, bool non_blocking) => _to(other.device, other.dtype, non_blocking);

            protected void _toEpilog(ScalarType dtype, bool non_blocking) => _toEpilog(dtype, null, non_blocking);

            protected void _toEpilog(Device device, ScalarType dtype, bool non_blocking) => _toEpilog(dtype, device, non_blocking);

            protected void _toEpilog(DeviceType deviceType, int deviceIndex, bool non_blocking) =>
                _toEpilog(null, new Device(deviceType, deviceIndex), non_blocking);

            /// <summary>Converts the children, then replaces what is registered here, in the dictionaries and in the fields of the same name.</summary>
            protected virtual void _toEpilog(ScalarType? dtype, Device device, bool non_blocking)
            {
                foreach ((_, Module child) in named_children())
                {
                    if (device is null) child._to(dtype.Value, non_blocking);
                    else if (dtype is null) child._to(device.type, device.index, non_blocking);
                    else child._to(device, dtype.Value, non_blocking);
                }

                // As in the package two members of one name, such as two indexers, are an error.
                Dictionary<string, FieldInfo> fields = GetType().GetFields(OwnMembers).ToDictionary(ComponentNameAttribute.Of);
                Dictionary<string, PropertyInfo> properties = GetType().GetProperties(OwnMembers).ToDictionary(ComponentNameAttribute.Of);

                foreach ((string key, Parameter parameter) in named_parameters(false).ToList())
                {
                    if (!ReplaceParameter(dtype, device, parameter, out Parameter replacement)) continue;
                    ConditionallyRegisterParameter(key, replacement);
                    Assign(key, parameter, replacement);
                    parameter.Dispose();
                }

                foreach ((string key, Tensor buffer) in named_buffers(false, false).ToList())
                {
                    if (!ReplaceBuffer(dtype, device, buffer, out Tensor replacement)) continue;
                    ConditionallyRegisterBuffer(key, replacement);
                    Assign(key, buffer, replacement);
                    buffer.Dispose();
                }

                Believe(device);

                void Assign(string key, Tensor old, Tensor replacement)
                {
                    if (fields.TryGetValue(key, out FieldInfo field) && field.GetValue(this) is Tensor) field.SetValue(this, replacement);
                    else if (properties.TryGetValue(key, out PropertyInfo property) && property.CanRead && property.CanWrite && ReferenceEquals(property.GetValue(this), old))
                        property.SetValue(this, replacement);
                }
            }

            // A module remembers where it was moved to, not where its tensors are.
            private protected void Believe(Device device)
            {
                if (device is null) return;
                _deviceType = device.type;
                _deviceIndex = device.index;
            }

            /// <summary>A converted parameter with the gradient and the requirement of one; false when it already is as asked for.</summary>
            protected static bool ReplaceParameter(ScalarType? dtype, Device device, Parameter param, out Parameter p)
            {
                p = null;
                if (!WillChange(param, dtype, device)) return false;
                using IDisposable _ = no_grad();
                Tensor converted = Converted(param, dtype, device);
                p = new Parameter(converted, param.requires_grad);
                p.DetachFromDisposeScope();
                using Tensor gradient = param.grad;
                if (gradient is null) return true;
                using Tensor moved = Converted(gradient, dtype, device);
                p.grad = moved;
                return true;
            }

            /// <summary>A converted buffer; false when it already is as asked for. One of integers keeps its type.</summary>
            protected static bool ReplaceBuffer(ScalarType? dtype, Device device, Tensor buffer, out Tensor result)
            {
                result = null;
                ScalarType? type = buffer.is_floating_point() || buffer.is_complex() ? dtype : null;
                if (!WillChange(buffer, type, device)) return false;
                using IDisposable _ = no_grad();
                result = Converted(buffer, type, device);
                result.DetachFromDisposeScope();
                return true;
            }

            protected static (Device device, ScalarType dtype) GetDefaultDeviceAndType(Device device = null, ScalarType? dtype = null) =>
                (InitializeDevice(device), dtype ?? (ScalarType)Native.Check(Native.st_default_dtype()));

            private static bool WillChange(Tensor tensor, ScalarType? dtype, Device device)
            {
                if (dtype is ScalarType type && tensor.dtype != type) return true;
                if (device is null) return false;
                Device now = tensor.device;
                return now.type != device.type || (device.index >= 0 && now.index != device.index);
            }

            private static Tensor Converted(Tensor tensor, ScalarType? dtype, Device device, bool non_blocking = false) =>
                Ops.Tensor("to.device", tensor, device ?? tensor.device, dtype ?? tensor.dtype, non_blocking, true);

            private static void RequireConvertible(ScalarType dtype)
            {
                if (!is_floating_point(dtype) && !is_complex(dtype))
                    throw new ArgumentException($"nn.Module.to only accepts floating point or complex types, but got desired dtype={dtype}");
            }
        }
    }
}
