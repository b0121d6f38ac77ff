using Lora.Targeting;

namespace Lora;

/// <summary>
/// Picks modules of a model by their paths, by PEFT's rules for <c>target_modules</c> and <c>exclude_modules</c>. Selectors are immutable
/// and compare by value; the order of names does not count.
/// </summary>
/// <example><c>ModuleSelector.EndsWith("q_proj", "v_proj")</c> picks <c>model.layers.0.self_attn.q_proj</c>.</example>
public abstract class ModuleSelector : IEquatable<ModuleSelector>
{
    private ModuleSelector()
    {
    }

    /// <summary>Picks every linear layer. Which modules are linear is for whoever walks the model to say; <see cref="Matches"/> is true for any path.</summary>
    public static ModuleSelector AllLinear { get; } = new EveryLinear();

    /// <summary>The names of a selector made by <see cref="EndsWith"/>, else null.</summary>
    internal virtual IReadOnlyList<string>? Names => null;

    /// <summary>The pattern of a selector made by <see cref="Regex"/>, else null.</summary>
    internal virtual string? Pattern => null;

    /// <summary>Picks modules by name: those whose path is one of the names or ends with a dot and one of them. <c>proj</c> does not pick <c>q_proj</c>.</summary>
    /// <param name="names">Names or the ends of paths, such as <c>q_proj</c>, <c>self_attn.q_proj</c> or <c>model.layers.0.mlp.up_proj</c>. A name given twice counts once.</param>
    /// <returns>The selector.</returns>
    /// <exception cref="ArgumentException">There is no name, or one is empty.</exception>
    public static ModuleSelector EndsWith(params IEnumerable<string> names)
    {
        ArgumentNullException.ThrowIfNull(names);
        string[] distinct = [.. names.Distinct(StringComparer.Ordinal)];
        return distinct.Length > 0 && !distinct.Any(string.IsNullOrEmpty)
            ? new ByName(distinct)
            : throw new ArgumentException("At least one name is needed, and none may be empty.", nameof(names));
    }

    /// <summary>Picks modules whose whole path matches a regular expression.</summary>
    /// <param name="pattern">A pattern in Python's syntax, since adapter files hold such. It must match the complete path: <c>.*\.q_proj</c>, not <c>q_proj</c>.</param>
    /// <returns>The selector.</returns>
    /// <exception cref="ArgumentException">The pattern is not a valid regular expression.</exception>
    public static ModuleSelector Regex(string pattern)
    {
        ArgumentException.ThrowIfNullOrEmpty(pattern);
        try
        {
            return new ByRegex(pattern);
        }
        catch (PatternException exception)
        {
            throw new ArgumentException($"The pattern '{pattern}' is not a valid regular expression: {exception.Message}.", nameof(pattern), exception);
        }
    }

    /// <summary>Says whether a module is picked.</summary>
    /// <param name="path">The module's path in its model, such as <c>model.layers.0.self_attn.q_proj</c>.</param>
    /// <returns>Whether it is picked.</returns>
    /// <exception cref="InvalidOperationException">A regular expression was given up since it took too long.</exception>
    public abstract bool Matches(string path);

    /// <inheritdoc/>
    public abstract bool Equals(ModuleSelector? other);

    /// <inheritdoc/>
    public sealed override bool Equals(object? obj) => Equals(obj as ModuleSelector);

    /// <inheritdoc/>
    public abstract override int GetHashCode();

    private sealed class ByName(string[] names) : ModuleSelector
    {
        private readonly HashSet<string> _set = new(names, StringComparer.Ordinal);

        internal override IReadOnlyList<string> Names => names;

        public override bool Matches(string path)
        {
            ArgumentNullException.ThrowIfNull(path);
            return _set.Contains(path) || names.Any(name => path.Length > name.Length && path[^(name.Length + 1)] == '.' && path.EndsWith(name, StringComparison.Ordinal));
        }

        public override bool Equals(ModuleSelector? other) => other is ByName list && _set.SetEquals(list._set);

        public override int GetHashCode() => names.Aggregate(0, (hash, name) => hash ^ name.GetHashCode(StringComparison.Ordinal));

        public override string ToString() => $"[{string.Join(", ", names)}]";
    }

    private sealed class ByRegex(string pattern) : ModuleSelector
    {
        private readonly PythonRegex _regex = PythonRegex.FullMatch(pattern);

        internal override string Pattern => pattern;

        public override bool Matches(string path)
        {
            ArgumentNullException.ThrowIfNull(path);
            return _regex.IsMatch(path);
        }

        public override bool Equals(ModuleSelector? other) => other is ByRegex regex && regex.Pattern == pattern;

        public override int GetHashCode() => pattern.GetHashCode(StringComparison.Ordinal);

        public override string ToString() => $"/{pattern}/";
    }

    private sealed class EveryLinear : ModuleSelector
    {
        internal const string Name = "all-linear";

        public override bool Matches(string path) => true;

        public override bool Equals(ModuleSelector? other) => other is EveryLinear;

        public override int GetHashCode() => Name.Length;

        public override string ToString() => Name;
    }
}
