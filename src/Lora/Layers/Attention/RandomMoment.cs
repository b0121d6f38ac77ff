using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>
/// A place in the sequence of random numbers, to which a second pass can return. TorchSharp gives the state of the CPU's generator only: elsewhere the pass
/// begins with a seed drawn from it, and after its repetition the generator goes on from another one.
/// </summary>
/// <param name="device">Where the random numbers are drawn.</param>
internal sealed class RandomMoment(DeviceType device)
{
    [ThreadStatic]
    private static int _repeated;

    private byte[] _state = [];
    private long _seed;

    /// <summary>Whether what runs on this thread without gradients is to run once more with them: moments inside of it have to begin in both.</summary>
    internal static bool IsRepeated => _repeated > 0;

    /// <summary>Marks what runs until the answer is disposed as to be repeated with gradients.</summary>
    internal static IDisposable Repeated()
    {
        _repeated++;
        return new Return(() => _repeated--);
    }

    /// <summary>Marks the place.</summary>
    internal void Begin()
    {
        using var scope = NewDisposeScope();
        if (device != DeviceType.CPU)
        {
            _seed = randint(int.MaxValue, [1], ScalarType.Int64, CPU).item<long>();
            cuda.manual_seed_all(_seed);
        }
        // Elsewhere too: moments inside of this one draw their seeds from it.
        _state = get_rng_state().bytes.ToArray();
    }

    /// <summary>Returns to the place until the answer is disposed.</summary>
    internal IDisposable Replay()
    {
        using var scope = NewDisposeScope();
        if (device != DeviceType.CPU) cuda.manual_seed_all(_seed);
        Tensor now = get_rng_state().DetachFromDisposeScope();
        set_rng_state(tensor(_state));
        return new Return(() =>
        {
            set_rng_state(now);
            now.Dispose();
            if (device != DeviceType.CPU) cuda.manual_seed_all(_seed + int.MaxValue);
        });
    }

    private sealed class Return(Action goOn) : IDisposable
    {
        public void Dispose() => goOn();
    }
}
