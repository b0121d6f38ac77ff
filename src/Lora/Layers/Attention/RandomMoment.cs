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
    private bool OnCpu => device == DeviceType.CPU;

    /// <summary>Marks the place. The tensor is needed to return to it.</summary>
    internal IEnumerable<Tensor> Begin()
    {
        if (OnCpu) return [get_rng_state()];
        Tensor seed = randint(int.MaxValue, [1], ScalarType.Int64, CPU);
        cuda.manual_seed_all(seed.item<long>());
        return [seed];
    }

    /// <summary>Returns to the place until the answer is disposed.</summary>
    internal IDisposable Replay(Tensor place)
    {
        if (OnCpu)
        {
            Tensor now = get_rng_state();
            set_rng_state(place);
            return new HookOfReturn(() => set_rng_state(now));
        }
        long seed = place.item<long>();
        cuda.manual_seed_all(seed);
        return new HookOfReturn(() => cuda.manual_seed_all(seed + int.MaxValue));
    }

    private sealed class HookOfReturn(Action goOn) : IDisposable
    {
        public void Dispose() => goOn();
    }
}
