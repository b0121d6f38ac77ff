using System.Text;
using Lora.Inspection;
using Lora.Serialization;

namespace Lora;

/// <summary>What an adapter does to a model, layer by layer; see <see cref="LoraModel{TModel}.Inspect"/>.</summary>
/// <param name="Adapter">The adapter's name.</param>
/// <param name="Layers">The weights that it changes, in the model's order.</param>
/// <param name="Undefined">The paths of layers of which no ΔW is defined, such as a dilated convolution whose adapter was made by PEFT.</param>
public sealed record AdapterInspection(string Adapter, IReadOnlyList<LayerInspection> Layers, IReadOnlyList<string> Undefined)
{
    /// <summary>The Frobenius norm of all ΔW together.</summary>
    public double DeltaNorm => Math.Sqrt(Layers.Sum(layer => layer.DeltaNorm * layer.DeltaNorm));

    /// <summary>The weights that moved most, by <see cref="LayerInspection.RelativeNorm"/>, the farthest first.</summary>
    /// <param name="count">How many at the most.</param>
    /// <returns>The weights.</returns>
    public IReadOnlyList<LayerInspection> MostMoved(int count) => [.. Layers.OrderByDescending(layer => layer.RelativeNorm).Take(count)];

    /// <summary>Draws a heat map: blocks of the model downwards, the layers within a block across, with a legend, the number in each cell, and all numbers of a layer as its title.</summary>
    /// <param name="measure">What is shown.</param>
    /// <returns>The text of an SVG file, the same each time.</returns>
    public string ToSvg(InspectionMeasure measure = InspectionMeasure.RelativeNorm) => new HeatMap(this, measure).Draw();

    /// <summary>Writes the heat map to a file.</summary>
    /// <param name="path">The file to write or replace.</param>
    /// <param name="measure">What is shown.</param>
    /// <exception cref="IOException">The file cannot be written; one that was there before is unchanged.</exception>
    public void SaveSvg(string path, InspectionMeasure measure = InspectionMeasure.RelativeNorm)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        byte[] text = Encoding.UTF8.GetBytes(ToSvg(measure));
        AtomicFile.Write(path, stream => stream.Write(text));
    }
}
