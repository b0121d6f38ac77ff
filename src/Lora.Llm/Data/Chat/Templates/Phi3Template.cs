namespace Lora.Llm;

/// <summary>Phi-3, which ends a finished conversation with the token for the end of a text.</summary>
internal sealed class Phi3Template() : ChatTemplate("phi-3", bos: null, "<|endoftext|>", hasSystem: true, alternates: false)
{
    private protected override void Write(ChatWriter writer, IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt)
    {
        for (int i = 0; i < messages.Count; i++) writer.Token($"<|{messages[i].Role}|>").Text("\n").Body(i, messages[i].Content).End(i, "<|end|>").Text("\n");
        if (addGenerationPrompt) writer.Token("<|assistant|>").Text("\n");
        else writer.Eos(-1);
    }
}
