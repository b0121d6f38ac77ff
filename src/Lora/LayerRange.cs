namespace Lora;

/// <summary>Layers of a model in a row.</summary>
/// <param name="Start">The number of the first, counted from 0.</param>
/// <param name="End">The number behind the last.</param>
public readonly record struct LayerRange(int Start, int End)
{
    /// <summary>How many layers it holds.</summary>
    public int Count => End - Start;
}
