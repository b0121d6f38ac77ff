using Lora.Fuzzing.Targets;

namespace Lora.Fuzzing;

/// <summary>All targets by name.</summary>
internal static class FuzzTargets
{
    internal static IReadOnlyList<string> Names => [.. _make.Keys];

    private static readonly OrderedDictionary<string, Func<FuzzTarget>> _make = new(StringComparer.Ordinal)
    {
        ["safetensors"] = () => new SafetensorsTarget(),
    };

    internal static FuzzTarget Make(string name) => _make[name]();
}
