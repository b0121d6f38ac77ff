using System.Text.Json.Nodes;
using Lora.Llm;

namespace PretrainBase;

/// <summary>A kind of base model: its shape, and the lesson that it is made for.</summary>
/// <param name="Lesson">The folder of the lesson.</param>
/// <param name="Config">Its <c>config.json</c>.</param>
/// <param name="Make">Makes a model of the file.</param>
/// <param name="WritesLetters">Whether its task is to write letters. The words of letters are then in what it reads, since rows of words never read cannot be adapted.</param>
internal sealed record Family(string Lesson, Func<HuggingFaceTokenizer, JsonObject> Config, Func<string, CausalLanguageModel> Make, bool WritesLetters)
{
    internal static Family Named(FamilyName name) => name == FamilyName.Gpt2
        ? new Family("06.Gpt2", Gpt2, path => new Gpt2Model(Gpt2Config.FromFile(path)), WritesLetters: true)
        : new Family("01.FineTune", Llama, path => new LlamaModel(LlamaConfig.FromFile(path)), WritesLetters: false);

    private static JsonObject Llama(HuggingFaceTokenizer tokenizer) => new()
    {
        ["architectures"] = new JsonArray("LlamaForCausalLM"),
        ["model_type"] = "llama",
        ["vocab_size"] = tokenizer.VocabularySize,
        ["hidden_size"] = 128,
        ["intermediate_size"] = 256,
        ["num_hidden_layers"] = 2,
        ["num_attention_heads"] = 4,
        ["num_key_value_heads"] = 4,
        ["head_dim"] = 32,
        ["hidden_act"] = "silu",
        ["max_position_embeddings"] = 256,
        ["rms_norm_eps"] = 1e-5,
        ["rope_parameters"] = new JsonObject { ["rope_theta"] = 10000.0, ["rope_type"] = "default" },
        ["tie_word_embeddings"] = true,
        ["attention_bias"] = false,
        ["mlp_bias"] = false,
        ["eos_token_id"] = tokenizer.EosId!.Value,
        ["bos_token_id"] = null,
        ["dtype"] = "float32",
    };

    // So small a model forgets nothing: it is trained without dropout.
    private static JsonObject Gpt2(HuggingFaceTokenizer tokenizer) => new()
    {
        ["architectures"] = new JsonArray("GPT2LMHeadModel"),
        ["model_type"] = "gpt2",
        ["vocab_size"] = tokenizer.VocabularySize,
        ["n_embd"] = 96,
        ["n_layer"] = 2,
        ["n_head"] = 4,
        ["n_positions"] = 128,
        ["activation_function"] = "gelu_new",
        ["layer_norm_epsilon"] = 1e-5,
        ["embd_pdrop"] = 0.0,
        ["resid_pdrop"] = 0.0,
        ["attn_pdrop"] = 0.0,
        ["eos_token_id"] = tokenizer.EosId!.Value,
        ["bos_token_id"] = null,
        ["dtype"] = "float32",
    };
}

/// <summary>The kinds, as the command line names them.</summary>
internal enum FamilyName
{
    Llama,
    Gpt2,
}
