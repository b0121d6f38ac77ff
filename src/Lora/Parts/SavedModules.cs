namespace Lora.Parts;

/// <summary>The names in <c>modules_to_save</c> and the paths that they mean.</summary>
internal static class SavedModules
{
    /// <summary>Whether a name means the module at a path: it is the path, or its end behind a dot.</summary>
    internal static bool Names(string name, string path) =>
        path == name || (path.Length > name.Length && path[^(name.Length + 1)] == '.' && path.EndsWith(name, StringComparison.Ordinal));

    /// <summary>Whether the module at a path is trained in full, by itself or as a part of one that is. Such a module gets no adapter.</summary>
    internal static bool Holds(IReadOnlyList<string> names, string path)
    {
        if (names.Count == 0) return false;
        for (int dot = path.Length; dot > 0; dot = path.LastIndexOf('.', dot - 1))
            if (names.Any(name => Names(name, path[..dot]))) return true;
        return false;
    }
}
