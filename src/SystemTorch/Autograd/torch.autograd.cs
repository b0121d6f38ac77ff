using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public static partial class autograd
    {
        public static unsafe IList<Tensor> grad(
            IList<Tensor> outputs, IList<Tensor> inputs, IList<Tensor> grad_outputs = null, bool retain_graph = false, bool create_graph = false, bool allow_unused = false)
        {
            ArgumentNullException.ThrowIfNull(outputs);
            ArgumentNullException.ThrowIfNull(inputs);
            IntPtr[] of = Handles(outputs), by = Handles(inputs), with = Gradients(grad_outputs, outputs.Count), answers = new IntPtr[inputs.Count];
            fixed (IntPtr* o = of, i = by, g = with, a = answers)
                Native.Check(Native.st_gradients(o, of.Length, i, by.Length, g, retain_graph ? 1 : 0, create_graph ? 1 : 0, allow_unused ? 1 : 0, a));
            GC.KeepAlive(outputs);
            GC.KeepAlive(inputs);
            GC.KeepAlive(grad_outputs);
            return [.. answers.Select(Tensor.Wrap)];
        }

        public static void backward(
            IList<Tensor> tensors, IList<Tensor> grad_tensors = null, bool? retain_graph = null, bool create_graph = false, IList<Tensor> inputs = null)
        {
            RunBackward(tensors, grad_tensors, retain_graph ?? create_graph, create_graph, inputs);
        }

        public static void backward(
            Tensor tensor, IList<Tensor> grad_tensors = null, bool? retain_graph = null, bool create_graph = false, IList<Tensor> inputs = null) =>
            backward([tensor], grad_tensors, retain_graph, create_graph, inputs);

        public static void backward(
            Tensor tensor, Tensor grad_tensor, bool? retain_graph = null, bool create_graph = false, IList<Tensor> inputs = null) =>
            backward([tensor], [grad_tensor], retain_graph, create_graph, inputs);

        private static unsafe void RunBackward(IList<Tensor> tensors, IList<Tensor> gradients, bool retain, bool create, IList<Tensor> inputs)
        {
            ArgumentNullException.ThrowIfNull(tensors);
            IntPtr[] of = Handles(tensors), with = Gradients(gradients, tensors.Count), into = Handles(inputs);
            fixed (IntPtr* t = of, g = with, i = into)
                Native.Check(Native.st_backward(t, g, of.Length, retain ? 1 : 0, create ? 1 : 0, i, into.Length));
            GC.KeepAlive(tensors);
            GC.KeepAlive(gradients);
            GC.KeepAlive(inputs);
        }

        // None at all, or one for each output: the native side reads as many as there are outputs.
        private static IntPtr[] Gradients(IList<Tensor> gradients, int outputs)
        {
            if (gradients is { Count: > 0 } && gradients.Count != outputs)
                throw new ArgumentException($"got {outputs} tensors and {gradients.Count} gradients");
            return Handles(gradients);
        }

        private static IntPtr[] Handles(IList<Tensor> tensors) => tensors is null ? [] : [.. tensors.Select(t => t is null ? IntPtr.Zero : t.Handle)];
    }
}
