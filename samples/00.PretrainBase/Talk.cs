using static PretrainBase.World;

namespace PretrainBase;

/// <summary>What the people of the small world say to each other, and lists that they write: the words of letters, in other order than letters have.</summary>
internal sealed class Talk(int seed)
{
    private readonly Random _random = new(seed);

    internal string Tell()
    {
        string person = One(People), friend = One(People), colour = One(Colours), number = One(Numbers), animals = One(Animals).Many, thing = One(Things), where = Where(One(Places));
        return _random.Next(9) switch
        {
            0 => $"{person} asked: When will you come? {friend} said: I will come soon!",
            1 => $"{friend} is a dear friend of {person}.\nDear {friend}! said {person}. I hope that you are well today.",
            2 => $"Where are you? asked {person}. I am {where}, said {friend}. There are {number} {colour} {animals} here.",
            3 => $"{person} said: I have a {colour} {thing} for you. Please come and see it!",
            4 => $"Today {person} saw {number} {animals} {where}. I like them, said {person}.",
            5 => $"I saw {number} {colour} {animals}, said {friend}. Bring your {thing}, please! said {person}.",
            6 => $"Things that {person} has:\na {colour} {thing}\n{number} {animals}\na dear friend, {friend}",
            7 => $"Your {thing} is here, said {friend}. It is {colour}. Please bring it, said {person}.",
            _ => $"{person}, {friend}:\nThe {animals} here are {colour}, and there are {number} of them.",
        };
    }

    private T One<T>(T[] among) => among[_random.Next(among.Length)];
}
