using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Benchmarks.Peers;

/// <summary>The device on which a task computes and the type of its frozen weights: the CPU and float32 where a task names none.</summary>
/// <param name="Device">The device.</param>
/// <param name="Type">The type of the frozen weights.</param>
internal sealed record Placement(Device Device, ScalarType Type)
{
    /// <param name="words">Nothing, a device, or a device and a type.</param>
    public static Placement Of(string[] words) => words switch
    {
        [] => new(CPU, ScalarType.Float32),
        [string name] => new(device(name), ScalarType.Float32),
        [string name, string type] => new(device(name), TypeOf(type)),
        _ => throw new ArgumentException($"'{string.Join(' ', words)}' are no device and type, such as 'cuda bfloat16'.", nameof(words)),
    };

    /// <summary>The same work, over only when the device has done it.</summary>
    public Action Finished(Action run) => Device.type != DeviceType.CUDA ? run : () =>
    {
        run();
        cuda.synchronize(Device);
    };

    private static ScalarType TypeOf(string name) => name switch
    {
        "float32" => ScalarType.Float32,
        "bfloat16" => ScalarType.BFloat16,
        "float16" => ScalarType.Float16,
        _ => throw new ArgumentException($"'{name}' is none of float32, bfloat16 and float16.", nameof(name)),
    };
}
