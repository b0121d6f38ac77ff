using System.Globalization;

namespace Lora;

/// <summary>What a configuration would train beside the adapted layers: biases, full copies of modules, rows of embeddings.</summary>
/// <param name="Setting">The setting that asks for it, in PEFT's words, such as <c>modules_to_save</c>.</param>
/// <param name="Path">The path of the module.</param>
/// <param name="Parameters">How many numbers would train.</param>
/// <param name="Bytes">How much memory they would take.</param>
public sealed record ExplainedPart(string Setting, string Path, long Parameters, long Bytes)
{
    /// <summary>All of it on one line.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Path}  by {Setting}  {Parameters:N0} parameters, {Bytes:N0} bytes");
}
