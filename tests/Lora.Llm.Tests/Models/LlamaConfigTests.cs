using System.Text.Json.Nodes;
using Lora.Llm.Blocks;

namespace Lora.Llm.Tests.Models;

public sealed class LlamaConfigTests
{
    [Fact]
    public void The_fields_of_the_file_arrive()
    {
        using var folder = new ModelFolder();
        LlamaConfig wanted = TinyLlama.Config with { TieEmbeddings = true, AttentionBias = true, MlpBias = true };
        folder.Write(json => json["bos_token_id"] = 5, wanted);
        LlamaConfig read = LlamaConfig.FromFile(folder.Config);
        Assert.Equal(wanted with { BeginTokenId = 5, EndTokenIds = read.EndTokenIds }, read);
        Assert.Equal([2], read.EndTokenIds);
    }

    [Fact]
    public void What_old_files_leave_out_has_the_defaults_of_transformers()
    {
        using var folder = new ModelFolder();
        folder.Write(json =>
        {
            foreach (string name in new[] { "num_key_value_heads", "head_dim", "rope_parameters", "rms_norm_eps", "tie_word_embeddings", "attention_bias", "mlp_bias", "max_position_embeddings", "hidden_act" })
                json.Remove(name);
            json["hidden_size"] = 24;
            json["head_dim"] = null;
        });
        LlamaConfig read = LlamaConfig.FromFile(folder.Config);
        Assert.Equal(
            new LlamaConfig
            {
                VocabularySize = 37,
                HiddenSize = 24,
                IntermediateSize = 27,
                Layers = 2,
                Heads = 6,
                KeyValueHeads = 6,
                HeadDimension = 4,
                MaxPositions = 2048,
                NormEpsilon = 1e-6,
                RopeTheta = 10000,
                BeginTokenId = 1,
                EndTokenIds = read.EndTokenIds,
            },
            read);
    }

    public static TheoryData<string, object> Ropes => new()
    {
        { "{}", new DefaultRope(10000) },
        { """{"rope_theta": 77.5}""", new DefaultRope(77.5) },
        { """{"rope_theta": 77.5, "rope_scaling": null}""", new DefaultRope(77.5) },
        { """{"rope_theta": 50, "rope_scaling": {"type": "linear", "factor": 2.5}}""", new LinearRope(50, 2.5) },
        { """{"rope_theta": 50, "rope_scaling": {"rope_type": "linear", "factor": 4}}""", new LinearRope(50, 4) },
        { """{"rope_scaling": {"rope_type": "linear", "type": "dynamic", "factor": 4}}""", new LinearRope(10000, 4) },
        { """{"rope_theta": 9, "rope_scaling": {"rope_type": "default"}}""", new DefaultRope(9) },
        { """{"rope_theta": 500000, "rope_scaling": {"factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 8192, "rope_type": "llama3"}}""", new Llama3Rope(500000, 8, 1, 4, 8192) },
        { """{"rope_parameters": {"rope_theta": 123, "rope_type": "default"}}""", new DefaultRope(123) },
        { """{"rope_parameters": {"rope_theta": 123, "rope_type": "linear", "factor": 3}}""", new LinearRope(123, 3) },
        { """{"rope_theta": 5, "rope_parameters": {"rope_type": "linear", "factor": 3}}""", new LinearRope(5, 3) },
        { """{"rope_parameters": {"rope_theta": 9, "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 32, "rope_type": "llama3"}}""", new Llama3Rope(9, 8, 1, 4, 32) },
    };

    [Theory]
    [MemberData(nameof(Ropes))]
    public void Rotary_positions_are_read_in_every_spelling(string fields, object wanted)
    {
        using var folder = new ModelFolder();
        folder.Write(json =>
        {
            json.Remove("rope_parameters");
            foreach ((string name, JsonNode? value) in JsonNode.Parse(fields)!.AsObject()) json[name] = value?.DeepClone();
        });
        Assert.Equal(wanted, LlamaConfig.FromFile(folder.Config).Rope);
    }

    [Theory]
    [InlineData("null", null, new int[0])]
    [InlineData("2", null, new[] { 2 })]
    [InlineData("[2, 9]", null, new[] { 2, 9 })]
    [InlineData("2", """{"eos_token_id": [5, 6]}""", new[] { 5, 6 })]
    [InlineData("[2, 9]", """{"eos_token_id": 5}""", new[] { 5 })]
    [InlineData("[2, 9]", """{"max_length": 5}""", new[] { 2, 9 })]
    [InlineData("7", """{"eos_token_id": null}""", new[] { 7 })]
    public void End_tokens_come_from_generation_config_where_it_names_any(string config, string? generation, int[] wanted)
    {
        using var folder = new ModelFolder();
        folder.Write(json => json["eos_token_id"] = JsonNode.Parse(config));
        if (generation is not null) File.WriteAllText(folder["generation_config.json"], generation);
        Assert.Equal(wanted, LlamaConfig.FromFile(folder.Config).EndTokenIds);
    }

    [Fact]
    public void A_configuration_made_by_hand_is_checked_as_a_whole()
    {
        LlamaConfig config = TinyLlama.Config with { VocabularySize = 0, KeyValueHeads = 4, HeadDimension = 5, NormEpsilon = double.NaN, RopeTheta = -1 };
        var error = Assert.Throws<ArgumentException>(() => new LlamaModel(config));
        Assert.Equal(
            """
            There is no such Llama:
              - VocabularySize must be at least 1, but is 0.
              - Heads must be a multiple of KeyValueHeads (4), but is 6.
              - HeadDimension must be even, since rotary positions turn components in pairs, but is 5.
              - NormEpsilon must be above 0, but is NaN.
              - RopeTheta must be above 0, but is -1.
            """.ReplaceLineEndings("\n"),
            error.Message);
    }
}
