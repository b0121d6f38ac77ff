using System.Text.Json.Nodes;
using static PretrainBase.World;

namespace PretrainBase;

/// <summary>The task of lesson 6: letters, which the base has never read, about the world that it knows.</summary>
internal sealed class LetterTask(int seed)
{
    private readonly Random _random = new(seed);

    internal void Write(string path, int count, ISet<string> others)
    {
        using var writer = new StreamWriter(path);
        for (int written = 0; written < count;)
        {
            string letter = Letter();
            if (!others.Add(letter)) continue;
            writer.Write(new JsonObject { ["text"] = letter }.ToJsonString(Json.Plain) + "\n");
            written++;
        }
    }

    private string Letter()
    {
        string friend = One(People), person = One(People.Where(name => name != friend).ToArray()), animals = One(Animals).Many, colour = One(Colours), number = One(Numbers), thing = One(Things);
        string where = Where(One(Places));
        string[] news =
        [
            $"There are {number} {colour} {animals} here, and I like them.",
            $"I saw {number} {colour} {animals} today.",
            $"I have a {colour} {thing} for you.",
            $"The {animals} here are {colour}, and there are {number} of them.",
        ];
        string[] wishes = ["Please come soon!", "When will you come?", "I hope that you are well.", "Bring your {0}, please!"];
        return $"Dear {friend},\nI am {where}. {One(news)} {string.Format(System.Globalization.CultureInfo.InvariantCulture, One(wishes), One(Things))}\nYour friend {person}";
    }

    private T One<T>(T[] among) => among[_random.Next(among.Length)];
}
