using System.Text.Json.Nodes;
using Lora.Llm.Loading;
using Lora.Serialization;
using Lora.Tests;

namespace Lora.Llm.Tests.Models.Loading;

/// <summary>A configuration cannot ask for more memory than its folder's files account for.</summary>
[Collection(Alone.Name)]
public sealed class HostileSizesTests
{
    [Theory]
    [InlineData("vocab_size", 2_000_000_000, "vocab_size must be at most 16777216, but is 2000000000.")]
    [InlineData("num_hidden_layers", 2_000_000_000, "num_hidden_layers must be at most 4096, but is 2000000000.")]
    [InlineData("intermediate_size", 16_777_217, "intermediate_size must be at most 16777216, but is 16777217.")]
    [InlineData("head_dim", 16_000_000, "num_attention_heads (6) of the width head_dim (16000000) must have at most 16777216 components together.")]
    public void Sizes_beyond_any_model_are_refused(string field, int value, string problem)
    {
        using var folder = new ModelFolder();
        JsonObject config = ModelFolder.ConfigOf(TinyLlama.Config);
        config[field] = value;
        File.WriteAllText(folder.Config, config.ToJsonString());
        Assert.Equal(problem, Assert.Single(Assert.Throws<AdapterFormatException>(() => LlamaConfig.FromFile(folder.Config)).Problems));
    }

    [Theory]
    [InlineData("vocab_size", 16_000_000)]
    [InlineData("intermediate_size", 16_000_000)]
    public void Sizes_that_the_weights_do_not_have_cost_no_memory(string field, int value)
    {
        using ModelFolder folder = ModelFolder.Of(TinyLlama.Config);
        JsonObject config = JsonNode.Parse(File.ReadAllText(folder.Config))!.AsObject();
        config[field] = value;
        File.WriteAllText(folder.Config, config.ToJsonString());
        AdapterFormatException? error = null;
        long peak = AllocatedMemory.PeakOf(() => error = Assert.Throws<AdapterFormatException>(() => LlamaModel.FromPretrained(folder.Path)));
        Assert.InRange(peak, 0, 1 << 20);
        Assert.Contains(error!.Problems, problem => problem.Contains($"but the configuration gives [{value}, ", StringComparison.Ordinal));
    }

    [Fact]
    public void More_layers_than_tensors_are_refused()
    {
        using ModelFolder folder = ModelFolder.Of(TinyLlama.Config);
        JsonObject config = JsonNode.Parse(File.ReadAllText(folder.Config))!.AsObject();
        config["num_hidden_layers"] = 4096;
        File.WriteAllText(folder.Config, config.ToJsonString());
        using SafetensorsSource weights = SafetensorsSource.Open(folder.Weights);
        Assert.Equal(
            $"{weights.Path}: config.json says that there are 4096 layers, but the file holds {weights.Entries.Count} tensors.",
            Assert.Throws<AdapterFormatException>(() => LlamaModel.FromPretrained(folder.Path)).Message);
    }

    [Fact]
    public void Labels_without_names_are_counted_and_not_listed()
    {
        using var folder = new TemporaryFolder();
        string Bert(int labels)
        {
            File.WriteAllText(folder["config.json"], $$"""{"model_type":"bert","vocab_size":9,"hidden_size":4,"intermediate_size":4,"num_hidden_layers":1,"num_attention_heads":2,"num_labels":{{labels}}}""");
            return folder["config.json"];
        }
        long before = GC.GetAllocatedBytesForCurrentThread();
        BertConfig config = BertConfig.FromFile(Bert(65536));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        Assert.Equal(65536, config.Labels.Count);
        Assert.Equal(["LABEL_0", "LABEL_65535"], [config.Labels[0], config.Labels[65535]]);
        Assert.Equal(65536, config.Labels.Distinct().Count());
        Assert.Throws<ArgumentOutOfRangeException>(() => config.Labels[65536]);
        Assert.Null(LabelReader.Problem(config.Labels));
        Assert.Equal("num_labels is 65537, but more than 65536 labels need names (id2label).", Assert.Single(Assert.Throws<AdapterFormatException>(() => BertConfig.FromFile(Bert(65537))).Problems));
    }

    [Theory]
    [InlineData("\"id2label\":{\"0\":\"\"}", "id2label: a label has no name.")]
    [InlineData("\"id2label\":{\"0\":\"a\",\"1\":\"a\"}", "id2label: two labels have the same name.")]
    [InlineData("\"label2id\":{\"\":0}", "label2id: a label has no name.")]
    public void Labels_that_no_classifier_can_have_are_refused_with_the_file(string field, string problem)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["config.json"], $$"""{"model_type":"vit",{{field}}}""");
        Assert.Equal(problem, Assert.Single(Assert.Throws<AdapterFormatException>(() => ViTConfig.FromFile(folder["config.json"])).Problems));
    }

    [Fact]
    public void A_padding_token_outside_the_vocabulary_is_refused()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["config.json"], """{"model_type":"bert","vocab_size":9,"hidden_size":4,"intermediate_size":4,"num_hidden_layers":1,"num_attention_heads":2,"pad_token_id":2000000000}""");
        Assert.Equal("pad_token_id must be a token of the vocabulary of 9, but is 2000000000.", Assert.Single(Assert.Throws<AdapterFormatException>(() => BertConfig.FromFile(folder["config.json"])).Problems));
    }
}
