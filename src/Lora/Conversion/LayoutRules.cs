namespace Lora.Conversion;

/// <summary>Says what the layers of a model are.</summary>
internal abstract class LayoutRules
{
    /// <summary>The paths of all modules, among which names pick.</summary>
    internal abstract IReadOnlyCollection<string> Paths { get; }

    /// <summary>The layout of a layer's weight; null where no adapter can be made of its difference.</summary>
    /// <param name="path">The layer's path.</param>
    /// <param name="shape">The weight's shape.</param>
    /// <param name="problem">Why not, as a clause that follows the path.</param>
    internal abstract WeightLayout? Of(string path, IReadOnlyList<long> shape, out string problem);

    /// <summary>Whether a layer is the output head, which is none of all linear layers.</summary>
    internal abstract bool IsHead(string path);
}
