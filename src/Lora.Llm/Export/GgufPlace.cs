namespace Lora.Llm.Export;

/// <summary>Where a module's weight goes in a GGUF file.</summary>
/// <param name="Name">Its name there, without <c>.weight</c> or <c>.bias</c>.</param>
/// <param name="Shape">The shape of the weight there, in torch's order: <c>[out, in]</c>, or <c>[n]</c> of a norm.</param>
internal sealed record GgufPlace(string Name, params IReadOnlyList<long> Shape)
{
    /// <summary>Whether there is a bias; its shape is the first number of the weight's.</summary>
    internal bool HasBias { get; init; }

    /// <summary>Whether the checkpoint has the weight as <c>[in, out]</c>.</summary>
    internal bool IsTransposed { get; init; }

    /// <summary>The number of heads whose rows change their order; 0 for none.</summary>
    internal int Heads { get; init; }

    /// <summary>Whether it is a table of vectors by token or position.</summary>
    internal bool IsTable { get; init; }

    /// <summary>Whether the file holds it in F32 whatever type was asked for.</summary>
    internal bool StaysWide { get; init; }

    /// <summary>
    /// Where a row of the file comes from. Transformers turns component i of a head together with component i + d/2; llama.cpp's llama turns neighbours, so row 2i of a head is row i, and row 2i + 1 is row i + d/2.
    /// </summary>
    internal long SourceRow(long row)
    {
        if (Heads == 0) return row;
        long width = Shape[0] / Heads, head = row / width, component = row % width;
        return head * width + component % 2 * (width / 2) + component / 2;
    }
}
