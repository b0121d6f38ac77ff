namespace Lora.Llm;

/// <summary>Takes down what a template writes.</summary>
/// <param name="bos">The token that begins a text; empty to leave it out.</param>
/// <param name="eos">The token that ends a text; empty to leave it out.</param>
internal sealed class ChatWriter(string bos, string eos)
{
    private readonly List<ChatSegment> _segments = [];

    internal IReadOnlyList<ChatSegment> Segments => _segments;

    /// <summary>Text around the turns.</summary>
    internal ChatWriter Text(string text) => Add(text, isToken: false, turn: -1);

    /// <summary>A token of the template's own around the turns.</summary>
    internal ChatWriter Token(string token) => Add(token, isToken: true, turn: -1);

    /// <summary>What a turn says, or what belongs to saying it.</summary>
    internal ChatWriter Body(int turn, string text) => Add(text, isToken: false, turn);

    /// <summary>The token that ends a turn.</summary>
    internal ChatWriter End(int turn, string token) => Add(token, isToken: true, turn);

    /// <summary>The tokenizer's token for the end of a text as the end of a turn.</summary>
    internal ChatWriter Eos(int turn) => Add(eos, isToken: true, turn);

    /// <summary>The tokenizer's token for the beginning of a text.</summary>
    internal ChatWriter Bos() => Add(bos, isToken: true, turn: -1);

    private ChatWriter Add(string text, bool isToken, int turn)
    {
        if (text.Length > 0) _segments.Add(new ChatSegment(text, isToken, turn));
        return this;
    }
}
