namespace PretrainBase;

/// <summary>All there is in the small world that the base model learns about.</summary>
internal static class World
{
    internal static readonly string[] Girls = ["Mia", "Ana", "Zoe", "Eva", "Ida", "Lily", "Rosa", "Nora", "Emma", "Vera"];

    internal static readonly string[] Boys = ["Tom", "Leo", "Max", "Ben", "Sam", "Noah", "Finn", "Hugo", "Otto", "Paul"];

    internal static readonly string[] People = [.. Girls, .. Boys];

    internal static readonly (string One, string Many)[] Animals =
    [
        ("cat", "cats"), ("dog", "dogs"), ("horse", "horses"), ("bird", "birds"), ("fox", "foxes"), ("duck", "ducks"), ("mouse", "mice"), ("goose", "geese"),
        ("rabbit", "rabbits"), ("frog", "frogs"), ("bear", "bears"), ("goat", "goats"), ("cow", "cows"), ("hen", "hens"), ("wolf", "wolves"), ("sheep", "sheep"),
    ];

    internal static readonly string[] Colours = ["red", "blue", "green", "white", "black", "brown", "yellow", "grey", "pink", "golden", "silver", "purple"];

    internal static readonly (string Preposition, string Name)[] Places =
    [
        ("in", "park"), ("in", "garden"), ("in", "forest"), ("by", "river"), ("on", "hill"), ("in", "barn"), ("at", "market"), ("at", "school"),
        ("in", "kitchen"), ("by", "lake"), ("in", "village"), ("on", "beach"),
    ];

    internal static readonly string[] Numbers = ["two", "three", "four", "five", "six", "seven", "eight", "nine"];

    internal static readonly string[] Things = ["ball", "hat", "book", "cup", "kite", "drum", "box", "boat", "lamp", "ring"];

    internal static string PronounOf(string person) => Girls.Contains(person) ? "she" : "he";

    internal static string Where((string Preposition, string Name) place) => $"{place.Preposition} the {place.Name}";

    internal static string Capital(string text) => char.ToUpperInvariant(text[0]) + text[1..];
}
