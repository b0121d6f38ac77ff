using System.Text.Json;
using Lora.Llm;
using static TorchSharp.torch;

namespace Chat;

/// <summary>What the model answers in held-out conversations: each turn of the assistant anew, behind the true turns before it.</summary>
internal sealed class Replies(string path, int count, HuggingFaceTokenizer tokenizer, ChatTemplate template)
{
    private static readonly JsonSerializerOptions s_json = new(JsonSerializerDefaults.Web);

    private readonly List<List<ChatMessage>> _conversations =
        [.. File.ReadLines(path).Where(line => !string.IsNullOrWhiteSpace(line)).Take(count).Select(line => JsonSerializer.Deserialize<Line>(line, s_json)!.Messages)];

    /// <summary>Question, wanted reply and the reply given.</summary>
    internal List<(string Asked, string Wanted, string Given)> Ask(CausalLanguageModel model, CancellationToken cancellationToken)
    {
        var replies = new List<(string, string, string)>();
        foreach (List<ChatMessage> messages in _conversations)
        {
            for (int i = 1; i < messages.Count; i++)
            {
                if (messages[i].Role == ChatTemplate.Assistant) replies.Add((messages[i - 1].Content, messages[i].Content, Reply(model, messages[..i], cancellationToken)));
            }
        }
        return replies;
    }

    private string Reply(CausalLanguageModel model, List<ChatMessage> messages, CancellationToken cancellationToken)
    {
        using var scope = NewDisposeScope();
        long[] prompt = [.. template.Encode(messages, tokenizer).Select(id => (long)id)];
        var options = new GenerationOptions { MaxNewTokens = 40, EndTokenIds = tokenizer.EosId is int end ? [end] : null };
        Tensor whole = model.Generate(tensor(prompt, [1, prompt.Length], device: model.parameters().First().device), options, cancellationToken: cancellationToken);
        return tokenizer.Decode(whole.cpu().data<long>().ToArray().Skip(prompt.Length).Select(id => (int)id), skipSpecialTokens: true).Trim().ReplaceLineEndings(" ");
    }

    private sealed record Line(List<ChatMessage> Messages);
}
