using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public static partial class autograd
    {
        /// <summary>What one application of a custom function keeps between its forward and its backward.</summary>
        public class AutogradContext : IDisposable
        {
            private readonly Dictionary<string, object> _data = [];
            private IntPtr _node;
            private int _savedCount;

            internal AutogradContext(string name, int inputs, Func<AutogradContext, List<Tensor>, List<Tensor>> backward)
            {
                Name = name;
                InputsCount = inputs;
                Backward = backward;
            }

            public bool MaterializeGrads { get; private set; } = true;

            internal string Name { get; }

            internal int InputsCount { get; }

            internal Func<AutogradContext, List<Tensor>, List<Tensor>> Backward { get; }

            // Of the forward only: the native node keeps what is needed later, without these handles.
            internal List<Tensor> ToSave { get; private set; } = [];

            internal List<Tensor> Dirty { get; private set; } = [];

            internal List<Tensor> NotDifferentiable { get; private set; } = [];

            public void save_for_backward(List<Tensor> tensors) => ToSave = tensors ?? [];

            public void mark_dirty(List<Tensor> tensors) => Dirty = tensors ?? [];

            public void mark_non_differentiable(List<Tensor> tensors) => NotDifferentiable = tensors ?? [];

            public void set_materialize_grads(bool value) => MaterializeGrads = value;

            public void save_data(string key, object value) => _data[key] = value;

            public object get_data(string key) => _data[key];

            /// <summary>
            /// The saved tensors, in new handles at every call. A tensor that was changed in place since then is refused with an ExternalException.
            /// </summary>
            public unsafe List<Tensor> get_saved_variables()
            {
                if (_savedCount == 0) return [.. ToSave];
                if (_node == IntPtr.Zero) throw new InvalidOperationException($"The graph that kept the saved tensors of {Name} is gone.");
                var handles = new IntPtr[_savedCount];
                int status;
                fixed (IntPtr* answers = handles) status = Native.st_function_saved(_node, answers);
                if (status < 0)
                {
                    foreach (IntPtr handle in handles) Native.st_tensor_delete(handle);
                    Native.ThrowLastError();
                }
                return [.. handles.Select(WrapDefined)];
            }

            public void Dispose()
            {
                Dispose(true);
                GC.SuppressFinalize(this);
            }

            protected virtual void Dispose(bool disposing)
            {
                _node = IntPtr.Zero;
                _data.Clear();
                ForgetForward();
            }

            internal bool Keeps(Tensor tensor) => _data.Values.Any(v => ReferenceEquals(v, tensor));

            /// <summary>Ties the context to its node; the tensors of the forward are let go.</summary>
            internal void Attach(IntPtr node)
            {
                _node = node;
                _savedCount = ToSave.Count;
                ForgetForward();
            }

            private void ForgetForward()
            {
                ToSave = [];
                Dirty = [];
                NotDifferentiable = [];
            }

            private static Tensor WrapDefined(IntPtr handle)
            {
                if (Native.st_tensor_defined(handle) != 0) return Tensor.Wrap(handle);
                Native.st_tensor_delete(handle);
                return null;
            }
        }
    }
}
