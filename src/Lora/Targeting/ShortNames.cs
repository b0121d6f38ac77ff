namespace Lora.Targeting;

/// <summary>Condenses long lists of targets as PEFT does: to endings of paths that still pick the same modules and no others.</summary>
internal static class ShortNames
{
    /// <summary>PEFT leaves shorter lists as they are.</summary>
    internal const int SmallestList = 20;

    /// <summary>Returns the endings that take the place of names, or the names themselves where that makes the list no shorter.</summary>
    /// <param name="names">The names, as a selector holds them.</param>
    /// <param name="others">The paths of all modules that no name picks.</param>
    internal static IReadOnlyList<string> Of(IReadOnlyList<string> names, IEnumerable<string> others)
    {
        if (names.Count < SmallestList) return names;
        HashSet<string> forbidden = others.SelectMany(Endings).ToHashSet(StringComparer.Ordinal);
        var needed = new List<string>();
        foreach (string name in names.OrderBy(name => string.Join('\n', Endings(name)), StringComparer.Ordinal))
        {
            if (needed.Exists(ending => name.EndsWith("." + ending, StringComparison.Ordinal))) continue;
            if (Endings(name).FirstOrDefault(ending => !forbidden.Contains(ending) && !needed.Contains(ending)) is string shortest) needed.Add(shortest);
        }
        return needed.Count > 0 && needed.Count < names.Count ? needed : names;
    }

    // The shortest first.
    private static IEnumerable<string> Endings(string path)
    {
        for (int dot = path.LastIndexOf('.'); dot >= 0; dot = dot == 0 ? -1 : path.LastIndexOf('.', dot - 1)) yield return path[(dot + 1)..];
        yield return path;
    }
}
