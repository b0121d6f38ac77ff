using Lora.Serialization;

namespace Lora;

/// <summary>How a saved adapter is read. By default everything in the file must fit the model.</summary>
public sealed record LoadOptions
{
    private readonly OrderedDictionary<string, string> _renamedPrefixes = new(StringComparer.Ordinal);

    /// <summary>The form of the file.</summary>
    /// <value><see cref="AdapterFormat.Peft"/> by default.</value>
    public AdapterFormat Format { get; init; } = AdapterFormat.Peft;

    /// <summary>
    /// Whether a layer for which the file has a tensor of another shape stays as a fresh adapter leaves it, adding nothing, instead of the whole file being refused. Biases,
    /// rows and full copies of modules keep the model's values then. Each is named in the report. PEFT calls it <c>ignore_mismatched_sizes</c>.
    /// </summary>
    /// <remarks>A file of which nothing fits is refused all the same, and so is a tensor that is missing, not expected, of a wrong type or not finite.</remarks>
    /// <value>False by default.</value>
    public bool IgnoreMismatchedShapes { get; init; }

    /// <summary>
    /// Other names for the beginnings of the paths in the file: <c>["model.language_model"] = "model"</c> reads the tensors of <c>model.language_model.layers.0</c> as those of
    /// <c>model.layers.0</c>. Names are whole parts of paths, without PEFT's <c>base_model.model.</c>; an empty one stands for the root. The first that fits decides.
    /// Paths in the configuration are renamed likewise, but not the regular expressions of its targets. PEFT calls it <c>key_mapping</c>.
    /// </summary>
    /// <remarks>A name that decides for no tensor is an error, and so are two tensors that get one name.</remarks>
    /// <value>Empty by default. The given dictionary is copied in its order.</value>
    public IReadOnlyDictionary<string, string> RenamedPrefixes
    {
        get => _renamedPrefixes;
        init
        {
            ArgumentNullException.ThrowIfNull(value);
            _renamedPrefixes = new(StringComparer.Ordinal);
            foreach ((string from, string to) in value) _renamedPrefixes.Add(from.TrimEnd('.'), to.TrimEnd('.'));
        }
    }

    /// <summary>How the file's numbers reach the adapter. It makes no difference to them, and none between two options.</summary>
    internal DeviceTransfer Transfer { get; init; } = DeviceTransfer.Usual;

    /// <inheritdoc/>
    public bool Equals(LoadOptions? other) =>
        other is not null && Format == other.Format && IgnoreMismatchedShapes == other.IgnoreMismatchedShapes && _renamedPrefixes.SequenceEqual(other._renamedPrefixes);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Format, IgnoreMismatchedShapes, _renamedPrefixes.Count);
}
