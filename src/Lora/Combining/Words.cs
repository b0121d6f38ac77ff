namespace Lora.Combining;

/// <summary>Lists in sentences.</summary>
internal static class Words
{
    /// <summary>The items with commas between them and "and" before the last.</summary>
    internal static string And(IEnumerable<string> items) =>
        items.ToArray() switch
        {
            [] => "",
            [string one] => one,
            [.. string[] first, string last] => $"{string.Join(", ", first)} and {last}",
        };
}
