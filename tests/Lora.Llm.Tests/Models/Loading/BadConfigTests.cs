using System.Text.Json.Nodes;
using Lora.Tests;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models.Loading;

/// <summary>Configurations of every other family that lack something, or contradict themselves, or ask for what is not supported: each with its file, its fields and all problems at once.</summary>
public sealed class BadConfigTests
{
    private static readonly Dictionary<string, string> _right = new()
    {
        ["gpt2"] = """{"model_type": "gpt2", "vocab_size": 37, "n_embd": 20, "n_layer": 2, "n_head": 5}""",
        ["t5"] = """{"model_type": "t5", "vocab_size": 37, "d_model": 20, "d_kv": 4, "d_ff": 27, "num_layers": 2, "num_heads": 6}""",
        ["vit"] = """{"model_type": "vit", "hidden_size": 12, "intermediate_size": 17, "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 12, "patch_size": 4}""",
        ["resnet"] = """{"model_type": "resnet", "embedding_size": 5, "hidden_sizes": [8, 12], "depths": [2, 1]}""",
        ["bert"] = """{"model_type": "bert", "vocab_size": 37, "hidden_size": 20, "intermediate_size": 27, "num_hidden_layers": 2, "num_attention_heads": 5}""",
        ["roberta"] = """{"model_type": "roberta", "vocab_size": 37, "hidden_size": 20, "intermediate_size": 27, "num_hidden_layers": 2, "num_attention_heads": 5}""",
    };

    [Theory]
    [InlineData("gpt2", """{"n_head": 3}""", "n_embd (20) is no multiple of n_head (3).")]
    [InlineData("gpt2", """{"n_head": null, "vocab_size": null}""", "n_head is missing.", "vocab_size is missing.")]
    [InlineData("gpt2", """{"n_layer": 0, "n_inner": -1, "attn_pdrop": 1}""", "n_layer must be a positive integer, but is 0.", "n_inner must be a positive integer, but is -1.", "attn_pdrop must be a number from 0 to below 1, but is 1.")]
    [InlineData("gpt2", """{"activation_function": "mish"}""", "activation_function is \"mish\", but this version supports \"gelu\", \"gelu_new\", \"gelu_pytorch_tanh\", \"relu\", \"silu\", \"swish\" and \"tanh\".")]
    [InlineData("gpt2", """{"add_cross_attention": true}""", "add_cross_attention is true, but this version supports decoders without an encoder alone.")]
    [InlineData("t5", """{"relative_attention_num_buckets": 7}""", "relative_attention_num_buckets must be even and at least 4, but is 7.")]
    [InlineData("t5", """{"relative_attention_max_distance": 16}""", "relative_attention_max_distance must be above half of relative_attention_num_buckets (32), but is 16.")]
    [InlineData("t5", """{"pad_token_id": 37}""", "pad_token_id must be a token of the vocabulary of 37, but is 37.", "decoder_start_token_id must be a token of the vocabulary of 37, but is 37.")]
    [InlineData("t5", """{"feed_forward_proj": "gated-mish", "d_kv": 0}""", "d_kv must be a positive integer, but is 0.", "feed_forward_proj is \"gated-mish\", but this version supports gelu, gelu_new, gelu_pytorch_tanh, relu, silu, swish, tanh, each with \"gated-\" before it or not.")]
    [InlineData("vit", """{"num_attention_heads": 5, "patch_size": 5}""", "hidden_size (12) is no multiple of num_attention_heads (5).", "image_size (12) is no multiple of patch_size (5).")]
    [InlineData("vit", """{"hidden_act": "mish", "image_size": "big"}""", "image_size must be a positive integer, but is \"big\".", "hidden_act is \"mish\", but this version supports gelu, gelu_new, gelu_pytorch_tanh, relu, silu, swish, tanh.")]
    [InlineData("vit", """{"id2label": {"0": "a", "2": "b"}}""", "id2label must name each class from \"0\" to \"1\" once, but has \"2\": \"b\".")]
    [InlineData("vit", """{"num_labels": 3, "id2label": {"0": "a", "1": "b"}}""", "num_labels is 3, but 2 labels have names.")]
    [InlineData("resnet", """{"depths": [2]}""", "hidden_sizes names 2 stages, but depths 1.")]
    [InlineData("resnet", """{"hidden_sizes": [8, 10]}""", "hidden_sizes has 10, but the channels of bottlenecks must be multiples of 4.")]
    [InlineData("resnet", """{"layer_type": "wide", "hidden_sizes": [], "hidden_act": "mish"}""", "hidden_sizes must be a list of positive integers, but is [].", "layer_type is \"wide\", but it must be \"basic\" or \"bottleneck\".", "hidden_act is \"mish\", but this version supports gelu, gelu_new, gelu_pytorch_tanh, relu, silu, swish, tanh.")]
    [InlineData("bert", """{"num_attention_heads": 3}""", "hidden_size (20) is no multiple of num_attention_heads (3).")]
    [InlineData("bert", """{"hidden_size": null, "vocab_size": null, "type_vocab_size": 0}""", "vocab_size is missing.", "hidden_size is missing.", "type_vocab_size must be a positive integer, but is 0.")]
    [InlineData("bert", """{"hidden_act": "relu", "position_embedding_type": "relative_key", "is_decoder": true}""", "hidden_act is \"relu\", but this version supports \"gelu\" alone for this family.", "position_embedding_type is \"relative_key\", but this version supports \"absolute\" alone.", "is_decoder is true, but this version supports a BERT that looks to both sides alone.")]
    [InlineData("bert", """{"problem_type": "ranking"}""", "problem_type is \"ranking\", but it must be \"regression\", \"single_label_classification\" or \"multi_label_classification\".")]
    [InlineData("bert", """{"label2id": {"a": 0, "b": 0}}""", "label2id must number the classes from 0 to 1, each once, but has \"b\": 0.")]
    [InlineData("roberta", """{"pad_token_id": 511, "vocab_size": 600}""", "pad_token_id (511) leaves no position: a RoBERTa counts them from behind it, and max_position_embeddings is 512.")]
    public void All_problems_of_a_configuration_are_listed(string type, string fields, params string[] problems)
    {
        using var folder = new TemporaryFolder();
        JsonObject json = JsonNode.Parse(_right[type])!.AsObject();
        string path = folder["config.json"];
        File.WriteAllText(path, json.ToJsonString());
        Read(type, path);
        foreach ((string name, JsonNode? value) in JsonNode.Parse(fields)!.AsObject()) json[name] = value?.DeepClone();
        File.WriteAllText(path, json.ToJsonString());
        var error = Assert.Throws<AdapterFormatException>(() => Read(type, path));
        Assert.Equal(path, error.Path);
        Assert.Equal(problems, error.Problems);
        Assert.Equal(problems.Length == 1 ? $"{path}: {problems[0]}" : $"{path} has {problems.Length} problems:{string.Concat(problems.Select(problem => $"\n  - {problem}"))}", error.Message);
    }

    [Theory]
    [InlineData("gpt2", "\"gemma2\", \"gemma3_text\", \"gpt2\", \"llama\", \"mistral\", \"phi3\", \"qwen2\" and \"qwen3\"", "")]
    [InlineData("t5", "\"t5\"", " as a SequenceToSequenceModel")]
    [InlineData("vit", "\"resnet\" and \"vit\"", " as an ImageClassifier")]
    [InlineData("resnet", "\"resnet\" and \"vit\"", " as an ImageClassifier")]
    [InlineData("bert", "\"bert\", \"gemma2\", \"llama\", \"mistral\", \"phi3\", \"qwen2\", \"qwen3\" and \"roberta\"", " as a SequenceClassifier")]
    public void An_unknown_type_is_told_what_the_task_supports(string type, string supported, string task)
    {
        using var folder = new TemporaryFolder();
        string path = folder["config.json"];
        File.WriteAllText(path, """{"model_type": "swin"}""");
        Assert.Equal($"{path}: model_type is \"swin\", but this version supports {supported}{task}.", Assert.Throws<AdapterFormatException>(() => Read(type, path)).Message);
    }

    [Theory]
    [InlineData("gpt2")]
    [InlineData("t5")]
    [InlineData("vit")]
    [InlineData("resnet")]
    [InlineData("bert")]
    [InlineData("roberta")]
    public void Folders_without_weights_or_with_a_shard_less_say_so(string type)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["config.json"], _right[type]);
        Assert.Equal($"There is neither model.safetensors nor model.safetensors.index.json in '{folder.Path}'.", Assert.Throws<FileNotFoundException>(() => Load(type, folder.Path)).Message);
        string index = folder["model.safetensors.index.json"];
        File.WriteAllText(index, """{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}""");
        var error = Assert.Throws<AdapterFormatException>(() => Load(type, folder.Path));
        Assert.Equal(
            [
                "the file 'model-00001-of-00002.safetensors' that it names does not exist.",
                "the file 'model-00002-of-00002.safetensors' that it names does not exist.",
            ],
            error.Problems);
        Assert.Equal(index, error.Path);
    }

    [Fact]
    public void Weights_of_other_sizes_than_the_configuration_says_are_listed()
    {
        using var scope = NewDisposeScope();
        Check(new Gpt2Model(new Gpt2Config { VocabularySize = 37, HiddenSize = 20, InnerSize = 80, Layers = 1, Heads = 5, MaxPositions = 8 }), "gpt2", """{"n_layer": 1, "n_inner": 28, "n_positions": 9}""",
        [
            "tensor transformer.h.0.mlp.c_fc.bias has the shape [80], but the configuration gives [28]",
            "tensor transformer.h.0.mlp.c_fc.weight has the shape [20, 80], but the configuration gives [20, 28]",
            "tensor transformer.h.0.mlp.c_proj.weight has the shape [80, 20], but the configuration gives [28, 20]",
            "tensor transformer.wpe.weight has the shape [8, 20], but the configuration gives [9, 20]",
        ]);
        Check(TinyT5.Make(), "t5", """{"num_layers": 1, "num_decoder_layers": 3, "relative_attention_num_buckets": 10, "relative_attention_max_distance": 12}""",
        [
            "tensor decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight has the shape [8, 6], but the configuration gives [10, 6]",
            "tensor encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight has the shape [8, 6], but the configuration gives [10, 6]",
            .. new[] { "layer.0.SelfAttention.k", "layer.0.SelfAttention.o", "layer.0.SelfAttention.q", "layer.0.SelfAttention.v" }
                .Select(name => $"unexpected tensor encoder.block.1.{name}.weight, shape [{(name.EndsWith('o') ? "20, 24" : "24, 20")}]"),
            "unexpected tensor encoder.block.1.layer.0.layer_norm.weight, shape [20]",
            "unexpected tensor encoder.block.1.layer.1.DenseReluDense.wi.weight, shape [27, 20]",
            "unexpected tensor encoder.block.1.layer.1.DenseReluDense.wo.weight, shape [20, 27]",
            "unexpected tensor encoder.block.1.layer.1.layer_norm.weight, shape [20]",
        ]);
        Check(new ViTModel(new ViTConfig { HiddenSize = 12, IntermediateSize = 17, Layers = 2, Heads = 3, ImageSize = 12, PatchSize = 4 }), "vit", """{"image_size": 16, "num_labels": 5}""",
        [
            "tensor classifier.bias has the shape [2], but the configuration gives [5]",
            "tensor classifier.weight has the shape [2, 12], but the configuration gives [5, 12]",
            "tensor vit.embeddings.position_embeddings has the shape [1, 10, 12], but the configuration gives [1, 17, 12]",
        ]);
        Check(new BertSequenceClassifier(new BertConfig { VocabularySize = 37, HiddenSize = 20, IntermediateSize = 27, Layers = 2, Heads = 5 }), "bert", """{"vocab_size": 38, "type_vocab_size": 3}""",
        [
            "tensor bert.embeddings.token_type_embeddings.weight has the shape [2, 20], but the configuration gives [3, 20]",
            "tensor bert.embeddings.word_embeddings.weight has the shape [37, 20], but the configuration gives [38, 20]",
        ]);

        static void Check(nn.Module model, string type, string fields, string[] problems)
        {
            JsonObject json = JsonNode.Parse(_right[type])!.AsObject();
            foreach ((string name, JsonNode? value) in JsonNode.Parse(fields)!.AsObject()) json[name] = value?.DeepClone();
            using var folder = new PretrainedFolder(model, json);
            var error = Assert.Throws<AdapterFormatException>(() => Load(type, folder.Path));
            Assert.Equal(folder.Weights, error.Path);
            Assert.Equal(problems, error.Problems.Order(StringComparer.Ordinal));
            model.Dispose();
        }
    }

    private static void Read(string type, string path) => _ = type switch
    {
        "gpt2" => (object)Gpt2Config.FromFile(path),
        "t5" => T5Config.FromFile(path),
        "vit" => ViTConfig.FromFile(path),
        "resnet" => ResNetConfig.FromFile(path),
        "bert" => BertConfig.FromFile(path),
        _ => RobertaConfig.FromFile(path),
    };

    private static nn.Module Load(string type, string folder) => type switch
    {
        "gpt2" => AutoModel.FromPretrained(folder),
        "t5" => AutoModel.FromPretrained<SequenceToSequenceModel>(folder),
        "vit" or "resnet" => AutoModel.FromPretrained<ImageClassifier>(folder),
        _ => AutoModel.FromPretrained<SequenceClassifier>(folder),
    };
}
