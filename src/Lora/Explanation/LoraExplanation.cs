using System.Globalization;
using System.Text;

namespace Lora;

/// <summary>What a configuration would do to a model; see <see cref="LoraModel.Explain"/>.</summary>
public sealed record LoraExplanation
{
    internal LoraExplanation(IReadOnlyList<ExplainedLayer> layers, IReadOnlyList<ExplainedPart> parts, IReadOnlyList<string> problems)
    {
        (Layers, Parts, Problems) = (layers, parts, problems);
    }

    /// <summary>The layers that would be adapted, in the model's order.</summary>
    public IReadOnlyList<ExplainedLayer> Layers { get; }

    /// <summary>What would be trained beside them.</summary>
    public IReadOnlyList<ExplainedPart> Parts { get; }

    /// <summary>Why <see cref="LoraModel.Wrap"/> would refuse, each in a sentence: names and patterns that match nothing, with near names, among others; empty where it would not.</summary>
    public IReadOnlyList<string> Problems { get; }

    /// <summary>Whether <see cref="LoraModel.Wrap"/> would go through.</summary>
    public bool IsPossible => Problems.Count == 0;

    /// <summary>How many numbers the adapter would hold.</summary>
    public long Parameters => Layers.Sum(layer => layer.Parameters) + Parts.Sum(part => part.Parameters);

    /// <summary>How much memory they would take. An optimizer takes more, AdamW about twice that.</summary>
    public long Bytes => Layers.Sum(layer => layer.Bytes) + Parts.Sum(part => part.Bytes);

    /// <summary>A line for each layer and each part, their sum, and the problems.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        foreach (ExplainedLayer layer in Layers) text.Append(layer).Append('\n');
        foreach (ExplainedPart part in Parts) text.Append(part).Append('\n');
        text.Append(CultureInfo.InvariantCulture, $"{Layers.Count:N0} adapted layers, {Parameters:N0} parameters, {Bytes:N0} bytes");
        if (Problems.Count > 0) text.Append("\nThis cannot be done:");
        foreach (string problem in Problems) text.Append("\n  - ").Append(problem);
        return text.ToString();
    }
}
