using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public static IDisposable no_grad() => new GradMode(false);

    public static IDisposable enable_grad(bool enabled = true) => new GradMode(enabled);

    public static IDisposable set_grad_enabled(bool mode = true) => new GradMode(mode);

    public static bool is_grad_enabled() => Native.st_grad_enabled() != 0;

    public static IDisposable inference_mode(bool mode = true) => new InferenceMode(mode);

    public static bool is_inference_mode_enabled() => Native.st_inference_enabled() != 0;

    /// <summary>Sets the gradient mode of the calling thread, and restores what was there before.</summary>
    private sealed class GradMode : IDisposable
    {
        private readonly int _before = Native.st_grad_enabled();

        internal GradMode(bool enabled) => Native.st_set_grad_enabled(enabled ? 1 : 0);

        public void Dispose() => Native.st_set_grad_enabled(_before);
    }

    private sealed class InferenceMode(bool mode) : IDisposable
    {
        private IntPtr _guard = Native.st_inference_enter(mode ? 1 : 0);

        public void Dispose()
        {
            if (_guard != IntPtr.Zero) Native.st_inference_leave(_guard);
            _guard = IntPtr.Zero;
        }
    }
}
