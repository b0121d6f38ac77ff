using System.Reflection;
using TorchSharp;

namespace Lora.Fuzzing.Running;

/// <summary>Bytes of tensors on the CPU, as far as the backend tells: SystemTorch does, the TorchSharp package does not.</summary>
internal sealed class NativeBytes : IDisposable
{
    private static readonly Type? _native = typeof(torch).Assembly.GetType("TorchSharp.Interop.Native");
    private readonly Func<long>? _now;
    private readonly Func<long>? _peak;
    private readonly Action? _reset;

    internal NativeBytes()
    {
        if (_native is null) return;
        Method("st_count_allocations").Invoke(null, [1]);
        _now = Method("st_allocated_now").CreateDelegate<Func<long>>();
        _peak = Method("st_allocated_peak").CreateDelegate<Func<long>>();
        _reset = Method("st_reset_peak").CreateDelegate<Action>();
    }

    /// <summary>Whether there are numbers at all.</summary>
    internal bool IsKnown => _now is not null;

    /// <summary>What is allocated now, after which the peak counts anew.</summary>
    internal long Begin()
    {
        _reset?.Invoke();
        return _now?.Invoke() ?? 0;
    }

    /// <summary>The most that was allocated since, above what was there.</summary>
    internal long PeakAbove(long before) => _peak is null ? 0 : _peak() - before;

    /// <summary>What is still allocated of it.</summary>
    internal long LeftAbove(long before) => _now is null ? 0 : _now() - before;

    public void Dispose()
    {
        if (_native is not null) Method("st_count_allocations").Invoke(null, [0]);
    }

    private static MethodInfo Method(string name) => _native!.GetMethod(name, BindingFlags.Static | BindingFlags.NonPublic)!;
}
