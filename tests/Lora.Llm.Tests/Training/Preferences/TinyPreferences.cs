using System.Text.Json;
using Lora.Llm.Tests.Data;
using Lora.Tests;

namespace Lora.Llm.Tests.Training.Preferences;

/// <summary>Preferences of letters: the answer that copies the prompt is preferred to one that does not. Lengths differ, also within a pair.</summary>
internal static class TinyPreferences
{
    public static PreferenceDataset Copying(int count, int first = 0) => Read(null, [.. Enumerable.Range(first, count).Select(i =>
    {
        string letters = Letters(i, 2 + i % 4), others = Letters(i + 5, 1 + i % 3);
        return JsonSerializer.Serialize(new { prompt = $"{letters}=", chosen = $"{letters}.", rejected = $"{others}." });
    })]);

    public static PreferenceDataset Read(JsonlOptions? options, params string[] lines)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllLines(folder["preferences.jsonl"], lines);
        return PreferenceDataset.Load(folder["preferences.jsonl"], TinyData.Tokenizer, options);
    }

    private static string Letters(int i, int count) => string.Concat(Enumerable.Range(0, count).Select(j => (char)('d' + (i * 7 + j * 3) % 20)));
}
