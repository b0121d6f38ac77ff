using static PretrainBase.World;

namespace PretrainBase;

/// <summary>
/// Tells short texts about the small world: stories, notes and lists. Each says some things more than once, so that whoever learns to predict it learns to
/// look back: that is what a fine-tuned model later copies with.
/// </summary>
internal sealed class StoryTeller(int seed)
{
    private readonly Random _random = new(seed);

    internal string Tell() => _random.Next(20) switch
    {
        < 4 => TellShortly(),
        < 10 => Note(),
        < 14 => Echo(),
        < 19 => Story(),
        _ => Collection(),
    };

    /// <summary>A very short note: one fact or two, and both again. Whoever begins with these learns to look back in hundreds of steps, not in tens of thousands.</summary>
    internal string TellShortly()
    {
        string person = One(People), colour = One(Colours), number = One(Numbers);
        (string One, string Many) animal = One(Animals);
        (string Preposition, string Name) place = One(Places);
        (string Fact, string Again)[] all =
        [
            ($"The place is the {place.Name}.", Where(place)), ($"The name is {person}.", person), ($"The number is {number}.", number), ($"The colour is {colour}.", colour),
            ($"The animal is the {animal.One}.", animal.Many),
        ];
        int[] chosen = [.. Enumerable.Range(0, all.Length)];
        _random.Shuffle(chosen);
        chosen = chosen[.._random.Next(1, 4)];
        string facts = string.Join(' ', chosen.Select(i => all[i].Fact));

        // Once forwards, once backwards, so that what comes again does not follow from what stands before it alone.
        IEnumerable<string> again = (_random.Next(2) == 0 ? chosen.Order() : chosen.OrderDescending()).Select(i => all[i].Again);
        return $"{facts} So {string.Join(", ", again)}.";
    }

    private string Story()
    {
        (string person, string friend) = Two(People);
        (string colour, string other) = Two(Colours);
        ((string One, string Many) animal, (string One, string Many) second) = Two(Animals);
        string number = One(Numbers), thing = One(Things), she = PronounOf(person), place = Where(One(Places));
        string many = $"{number} {colour} {animal.Many}";
        string[] openings =
        [
            $"{person} was {place}.", $"One day {person} went out and stayed {place}.", $"It was a warm day, and {person} sat {place}.", $"{Capital(place)} there was a {thing}. {person} took it.",
        ];
        string[] sights =
        [
            $"{Capital(she)} saw {many} there. All {animal.Many} were {colour}.",
            $"There were {many} {place}. {person} liked the {colour} {animal.Many}.",
            $"A {colour} {animal.One} came, and {person} gave the {animal.One} some bread. The {colour} {animal.One} ate it.",
            $"\"How many {animal.Many} are {place}?\" asked {friend}. \"There are {many} {place},\" said {person}.",
            $"{person} met a {colour} {animal.One} and a {other} {second.One}. The {animal.One} was {colour}, and the {second.One} was {other}.",
        ];
        string[] events =
        [
            $"Then {friend} came and brought a {other} {thing}. {person} took the {other} {thing} and thanked {friend}.",
            $"{friend} had {number} {thing}s. {Capital(PronounOf(friend))} gave all {number} to {person}. Now {person} has {number} {thing}s.",
            $"\"What colour is your {thing}?\" asked {friend}. \"My {thing} is {other},\" said {person}. So {person} has a {other} {thing}.",
            $"{friend} looked for the {animal.Many}. The {animal.Many} were {place} with {person}.",
        ];
        string[] ends =
        [
            $"{Capital(place)}, {person} and {friend} were happy.", $"Then {person} and {friend} went home.", $"{person} told {friend} about the {colour} {animal.Many}.", $"The {animal.Many} stayed {place}.",
        ];
        return $"{One(openings)} {One(sights)} {One(events)} {One(ends)}";
    }

    // The words of a record, in sentences.
    private string Note()
    {
        string person = One(People), colour = One(Colours), number = One(Numbers);
        (string One, string Many) animal = One(Animals);
        (string Preposition, string Name) place = One(Places);
        string[] facts = [$"The animal is the {animal.One}.", $"The colour is {colour}.", $"The number is {number}.", $"The place is the {place.Name}.", $"The name is {person}."];
        _random.Shuffle(facts);
        string sum = _random.Next(5) switch
        {
            0 => $"So there are {number} {colour} {animal.Many} {Where(place)}, and {person} knows it.",
            1 => $"So {person} knows {number} {colour} {animal.Many} {Where(place)}.",
            2 => $"This is about {person}, who is {Where(place)} with {number} {animal.Many}. They are {colour}.",
            3 => $"{Capital(Where(place))}, {person} found the {animal.Many}. All {number} were {colour}.",
            _ => $"{Capital(Where(place))} are the {animal.Many} of {person}. There are {number}, and all are {colour}.",
        };
        return $"{string.Join(' ', facts)} {sum}";
    }

    private string Collection()
    {
        var lines = new List<string>();
        string[] people = [.. People], colours = [.. Colours];
        (string One, string Many)[] animals = [.. Animals];
        _random.Shuffle(people);
        _random.Shuffle(colours);
        _random.Shuffle(animals);
        int count = _random.Next(2, 5), asked = _random.Next(count);
        for (int i = 0; i < count; i++) lines.Add($"{people[i]} has {One(Numbers)} {colours[i]} {animals[i].Many}.");
        lines.Add($"Who has {colours[asked]} {animals[asked].Many}? It is {people[asked]}. What has {people[asked]}? {lines[asked]}");
        return string.Join(' ', lines);
    }

    private string Echo()
    {
        (string person, string friend) = Two(People);
        string[] said =
        [
            .. Enumerable.Range(0, _random.Next(1, 3)).Select(_ => $"{One(Numbers)} {One(Colours)} {One(Animals).Many} {Where(One(Places))}"),
        ];
        string all = string.Join(" and ", said);
        return $"\"I see {all},\" says {person}. \"{person} sees {all},\" says {friend}. So there are {all}.";
    }

    private T One<T>(T[] among) => among[_random.Next(among.Length)];

    private (T First, T Second) Two<T>(T[] among)
    {
        int first = _random.Next(among.Length), second = _random.Next(among.Length - 1);
        return (among[first], among[second < first ? second : second + 1]);
    }
}
