using Lora.Fuzzing.Targets;

namespace Lora.Fuzzing;

/// <summary>All targets by name.</summary>
internal static class FuzzTargets
{
    internal static IReadOnlyList<string> Names => [.. _make.Keys];

    private static readonly OrderedDictionary<string, Func<FuzzTarget>> _make = new(StringComparer.Ordinal)
    {
        ["safetensors"] = () => new SafetensorsTarget(),
        ["index"] = () => new IndexTarget(),
        ["adapter-config"] = () => new AdapterConfigTarget(),
        ["config"] = () => new ModelConfigTarget(),
        ["generation-config"] = () => new GenerationConfigTarget(),
        ["tokenizer"] = () => new TokenizerTarget(),
        ["tokenizer-config"] = () => new TokenizerConfigTarget(),
        ["jsonl"] = () => new JsonlTarget(),
        ["gguf"] = () => new GgufTarget(),
        ["adapter"] = () => new AdapterTarget(),
        ["folder"] = () => new ModelFolderTarget(),
    };

    internal static FuzzTarget Make(string name) => _make[name]();
}
