using Lora.Export.Gguf;

namespace Lora.Llm.Export;

/// <summary>The types of the tensors of a file, by the type that most of them shall have.</summary>
internal static class GgufFileType
{
    private const int Block = 32;

    internal static bool IsQuantized(GgufType type) => type.BlockLength() > 1;

    /// <summary>The number under which llama.cpp knows files of a type (<c>general.file_type</c>).</summary>
    internal static uint NumberOf(GgufType type) => type switch
    {
        GgufType.F32 => 0,
        GgufType.F16 => 1,
        GgufType.Q40 => 2,
        GgufType.Q80 => 7,
        _ => 32,
    };

    /// <summary>The type of a matrix, and a remark where that is not the one asked for.</summary>
    internal static (GgufType Type, string? Remark) Of(string name, long row, bool isHead, GgufType wanted)
    {
        if (!IsQuantized(wanted)) return (wanted, null);
        if (row % Block != 0) return (GgufType.F16, $"{name} is F16, since its rows hold {row} numbers, no multiple of {Block}");
        return isHead && wanted == GgufType.Q40 ? (GgufType.Q80, $"{name} is Q8_0, since it is the output head") : (wanted, null);
    }
}
