namespace Lora.Llm.Tests.Data;

/// <summary>What the templates write, against the texts that llama.cpp's tests hold for the published Jinja templates.</summary>
public sealed class ChatTemplateTests
{
    private const string System = "You are a helpful assistant";

    private static readonly ChatMessage[] Conversation =
    [
        new("system", System), new("user", "Hello"), new("assistant", "Hi there"), new("user", "Who are you"), new("assistant", "   I am an assistant   "), new("user", "Another question"),
    ];

    [Theory]
    [InlineData("chatml", "", "", "<|im_start|>system\nYou are a helpful assistant<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\nHi there<|im_end|>\n<|im_start|>user\nWho are you<|im_end|>\n<|im_start|>assistant\n   I am an assistant   <|im_end|>\n<|im_start|>user\nAnother question<|im_end|>\n<|im_start|>assistant\n")]
    [InlineData("llama-3", "", "", "<|start_header_id|>system<|end_header_id|>\n\nYou are a helpful assistant<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nHi there<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nWho are you<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nI am an assistant<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nAnother question<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n")]
    [InlineData("mistral", "", "</s>", "[INST] Hello[/INST] Hi there</s>[INST] Who are you[/INST] I am an assistant</s>[INST] You are a helpful assistant\n\nAnother question[/INST]")]
    [InlineData("phi-3", "", "", "<|system|>\nYou are a helpful assistant<|end|>\n<|user|>\nHello<|end|>\n<|assistant|>\nHi there<|end|>\n<|user|>\nWho are you<|end|>\n<|assistant|>\n   I am an assistant   <|end|>\n<|user|>\nAnother question<|end|>\n<|assistant|>\n")]
    public void The_text_is_that_of_the_published_template(string name, string bos, string eos, string wanted) =>
        Assert.Equal(wanted, ChatTemplate.Named(name).Render(Conversation, addGenerationPrompt: true, bos, eos));

    // The published Jinja templates, run by Jinja 3.1 with the settings of transformers (blocks trimmed on both sides).
    [Theory]
    [InlineData("qwen2", true, "<|im_start|>system\nYou are a helpful assistant<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\nHi there<|im_end|>\n<|im_start|>user\nWho are you<|im_end|>\n<|im_start|>assistant\n   I am an assistant   <|im_end|>\n<|im_start|>user\nAnother question<|im_end|>\n<|im_start|>assistant\n")]
    [InlineData("qwen3", true, "<|im_start|>system\nYou are a helpful assistant<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\nHi there<|im_end|>\n<|im_start|>user\nWho are you<|im_end|>\n<|im_start|>assistant\n   I am an assistant   <|im_end|>\n<|im_start|>user\nAnother question<|im_end|>\n<|im_start|>assistant\n")]
    [InlineData("llama-2", true, "<s>[INST] <<SYS>>\nYou are a helpful assistant\n<</SYS>>\n\nHello [/INST] Hi there </s><s>[INST] Who are you [/INST] I am an assistant </s><s>[INST] Another question [/INST]")]
    [InlineData("zephyr", true, "<|system|>\nYou are a helpful assistant</s>\n<|user|>\nHello</s>\n<|assistant|>\nHi there</s>\n<|user|>\nWho are you</s>\n<|assistant|>\n   I am an assistant   </s>\n<|user|>\nAnother question</s>\n<|assistant|>\n")]
    [InlineData("gemma", false, "<bos><start_of_turn>user\nHello<end_of_turn>\n<start_of_turn>model\nHi there<end_of_turn>\n<start_of_turn>user\nWho are you<end_of_turn>\n<start_of_turn>model\nI am an assistant<end_of_turn>\n<start_of_turn>user\nAnother question<end_of_turn>\n<start_of_turn>model\n")]
    public void The_text_is_that_of_Jinja(string name, bool hasSystem, string wanted) => Assert.Equal(wanted, ChatTemplate.Named(name).Render(hasSystem ? Conversation : Conversation[1..], addGenerationPrompt: true));

    // The published templates run by hand on the same conversation: no table of llama.cpp's holds these.
    [Theory]
    [InlineData("qwen2", true, "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\nHi there<|im_end|>\n<|im_start|>user\nWho are you<|im_end|>\n<|im_start|>assistant\n")]
    [InlineData("qwen3", true, "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\nHi there<|im_end|>\n<|im_start|>user\nWho are you<|im_end|>\n<|im_start|>assistant\n")]
    [InlineData("llama-2", true, "<s>[INST] Hello [/INST] Hi there </s><s>[INST] Who are you [/INST]")]
    [InlineData("llama-3", false, "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nHi there<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nWho are you<|eot_id|>")]
    [InlineData("gemma", true, "<bos><start_of_turn>user\nHello<end_of_turn>\n<start_of_turn>model\nHi there<end_of_turn>\n<start_of_turn>user\nWho are you<end_of_turn>\n<start_of_turn>model\n")]
    [InlineData("phi-3", false, "<|user|>\nHello<|end|>\n<|assistant|>\nHi there<|end|>\n<|user|>\nWho are you<|end|>\n<|endoftext|>")]
    [InlineData("zephyr", true, "<|user|>\nHello</s>\n<|assistant|>\nHi there</s>\n<|user|>\nWho are you</s>\n<|assistant|>\n")]
    public void The_makers_own_tokens_are_the_default(string name, bool prompt, string wanted) =>
        Assert.Equal(wanted, ChatTemplate.Named(name).Render(Conversation[1..4], prompt));

    [Fact]
    public void A_system_message_stands_where_the_template_has_it()
    {
        ChatMessage[] finished = [.. Conversation[..2], new("assistant", " Hi ")];
        Assert.Equal($"<s>[INST] <<SYS>>\n{System}\n<</SYS>>\n\nHello [/INST] Hi </s>", ChatTemplate.Named("llama-2").Render(finished));
        Assert.Equal($"<s>[INST] {System}\n\nHello[/INST] Hi</s>", ChatTemplate.Named("mistral").Render(finished));
    }

    [Theory]
    [InlineData("<think>\nhm\n</think>\n\nHi", "<think>\nhm\n</think>\n\nHi")]
    [InlineData("Hi", "<think>\n\n</think>\n\nHi")]
    public void Qwen3_thinks_in_the_answer_to_the_last_question_alone(string last, string wanted)
    {
        ChatMessage[] messages = [new("user", "a"), new("assistant", "<think>\nlong ago\n</think>\n\nb"), new("user", "c"), new("assistant", last)];
        Assert.Equal($"<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n{wanted}<|im_end|>\n", ChatTemplate.Named("qwen3").Render(messages));
    }

    [Fact]
    public void What_a_template_cannot_write_is_refused()
    {
        Assert.Equal(
            "There is no chat template 'alpaca'; there are chatml, qwen2, qwen3, llama-2, llama-3, mistral, gemma, phi-3, zephyr. (Parameter 'name')",
            Assert.Throws<ArgumentException>(() => ChatTemplate.Named("alpaca")).Message);
        Refuse("chatml", [], "It has no message.");
        Refuse("gemma", [new("system", "s"), new("tool", "t")], "Message 1 has the role 'system', but the roles of this template are user, assistant.\n  - Message 2 has the role 'tool', but the roles of this template are user, assistant.");
        Refuse("llama-2", [new("system", "s")], "It has a system message alone, which this template writes into a turn of the user.");
        Refuse("mistral", [new("user", "a"), new("user", "b")], "Message 2 has the role 'user' where 'assistant' must be: user and assistant take turns, behind one system message at most.");
        Refuse("gemma", [new("assistant", "a")], "Message 1 has the role 'assistant' where 'user' must be: user and assistant take turns.");

        static void Refuse(string name, ChatMessage[] messages, string text) => Assert.Equal(
            $"The chat template '{name}' cannot write this conversation:\n  - {text} (Parameter 'messages')", Assert.Throws<ArgumentException>(() => ChatTemplate.Named(name).Render(messages)).Message);
    }
}
