namespace Lora;

/// <summary>What statuses of layers and of the model have in common.</summary>
internal static class StatusText
{
    internal static Agreement Agreed(IEnumerable<bool> flags) => Agreed(flags.Select(flag => flag ? Agreement.Yes : Agreement.No));

    internal static Agreement Agreed(IEnumerable<Agreement> flags) => flags.Distinct().Take(2).ToArray() is [Agreement one] ? one : Agreement.Irregular;

    internal static IReadOnlyList<string> Names(IEnumerable<string> names) => [.. names.Distinct().Order(StringComparer.Ordinal)];

    internal static string List(IReadOnlyList<string> names) => names.Count == 0 ? "none" : string.Join(" + ", names);

    internal static string Flag(Agreement flag) => flag switch
    {
        Agreement.Yes => "yes",
        Agreement.No => "no",
        _ => "irregular",
    };

    internal static string Flags(IReadOnlyDictionary<string, Agreement> flags) => string.Join(", ", flags.Select(pair => $"{pair.Key} {Flag(pair.Value)}"));

    internal static string Devices(IReadOnlyDictionary<string, IReadOnlyList<string>> devices) => string.Join(", ", devices.Select(pair => $"{pair.Key} {string.Join(" + ", pair.Value)}"));
}
