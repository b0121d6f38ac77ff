using System.Text.Json;
using static PretrainBase.World;

namespace PretrainBase;

/// <summary>
/// The task of the first lesson: a record with its fields in any order becomes one sentence of a fixed form. Preposition and plural are not in the record;
/// the base model knows them. Some pairs of colour and animal are kept for the held-out file alone.
/// </summary>
internal sealed class RecordTask
{
    private const int HeldOutPairs = 24;

    private readonly Random _random;
    private readonly HashSet<(string, string)> _heldOut;
    private readonly HashSet<string> _told = new(StringComparer.Ordinal);

    internal RecordTask(int seed)
    {
        _random = new Random(seed);
        (string, string)[] pairs = [.. from colour in Colours from animal in Animals select (colour, animal.One)];
        _random.Shuffle(pairs);
        _heldOut = [.. pairs.Take(HeldOutPairs)];
    }

    /// <summary>Writes examples, none of which was written before.</summary>
    internal void Write(string path, int count, bool heldOut)
    {
        using StreamWriter writer = File.CreateText(path);
        for (int written = 0; written < count;)
        {
            (string prompt, string completion, bool isHeldOut) = Example();
            if (isHeldOut != heldOut || !_told.Add(completion)) continue;
            writer.Write($"{{\"prompt\": {JsonSerializer.Serialize(prompt, Json.Plain)}, \"completion\": {JsonSerializer.Serialize(completion, Json.Plain)}}}\n");
            written++;
        }
    }

    private (string Prompt, string Completion, bool IsHeldOut) Example()
    {
        string person = People[_random.Next(People.Length)], colour = Colours[_random.Next(Colours.Length)], number = Numbers[_random.Next(Numbers.Length)];
        (string One, string Many) animal = Animals[_random.Next(Animals.Length)];
        (string Preposition, string Name) place = Places[_random.Next(Places.Length)];
        string[] fields = [$"name: {person}", $"animal: {animal.One}", $"colour: {colour}", $"number: {number}", $"place: {place.Name}"];
        _random.Shuffle(fields);
        return ($"{string.Join(" | ", fields)} =>", $" {Capital(Where(place))}, {person} saw {number} {colour} {animal.Many}.", _heldOut.Contains((colour, animal.One)));
    }
}
