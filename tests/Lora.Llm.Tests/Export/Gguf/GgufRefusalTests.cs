using Lora.Export.Gguf;
using Lora.Llm.Export;
using Lora.Serialization;
using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Export.Gguf;

/// <summary>What GGUF or llama.cpp has no place for is refused with the reason, all of it at once, and nothing is written.</summary>
public sealed class GgufRefusalTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void All_settings_without_a_place_are_listed()
    {
        GgufFolders.Make("llama", _folder["model"]);
        Adapter("""
            "target_modules":["q_proj"],"use_dora":true,"bias":"lora_only","modules_to_save":["lm_head"],"trainable_token_indices":[3],"layer_replication":[[0,2]],"init_lora_weights":"pissa"
            """, ("model.layers.0.self_attn.q_proj.lora_A.weight", zeros(2, 20)), ("model.layers.0.self_attn.q_proj.lora_B.weight", zeros(24, 2)), ("model.layers.0.self_attn.q_proj.lora_magnitude_vector", ones(24)));
        Assert.Equal(
        [
            "init_lora_weights is \"pissa\", with which the base holds another part of the update: convert the adapter to a plain one first",
            "use_dora is true: the format has no magnitudes",
            "bias is \"lora_only\": the format has no biases",
            "modules_to_save is set (lm_head): the format has no whole weights",
            "trainable_token_indices is set: the format has no rows of an embedding",
            "layer_replication is set: the base has other layers",
        ], Refused());
    }

    [Theory]
    [InlineData("\"use_bdlora\":{\"nblocks\":2,\"target_modules_bd_a\":[\"o_proj\"],\"target_modules_bd_b\":[\"q_proj\"]}", "use_bdlora is set: the format has whole factors alone")]
    [InlineData("\"lora_bias\":true", "lora_bias is true: the format has no biases")]
    [InlineData("\"target_parameters\":[\"q_proj.weight\"]", "target_parameters is set ([q_proj.weight]): which of a file's tensors belongs to which parameter only the model tells")]
    public void A_setting_without_a_place_is_named(string setting, string problem)
    {
        GgufFolders.Make("llama", _folder["model"]);
        Adapter($"\"target_modules\":[\"q_proj\"],{setting}", ("model.layers.0.self_attn.q_proj.lora_A.weight", zeros(2, 20)), ("model.layers.0.self_attn.q_proj.lora_B.weight", zeros(24, 2)));
        Assert.Equal(problem, Assert.Single(Refused()));
    }

    [Fact]
    public void All_tensors_without_a_place_are_listed()
    {
        GgufFolders.Make("llama", _folder["model"]);
        Adapter("\"target_modules\":[\"q_proj\"],\"rank_pattern\":{\"o_proj\":3}",
            ("model.layers.0.self_attn.q_proj.lora_A.weight", zeros(2, 19)), ("model.layers.0.self_attn.q_proj.lora_B.weight", zeros(24, 2)),
            ("model.layers.0.self_attn.o_proj.lora_A.weight", zeros(2, 24)), ("model.layers.0.self_attn.o_proj.lora_B.weight", zeros(20, 2)),
            ("model.layers.7.self_attn.q_proj.lora_A.weight", zeros(2, 20)), ("model.layers.7.self_attn.q_proj.lora_B.weight", zeros(24, 2)),
            ("model.layers.1.self_attn.k_proj.lora_A.weight", zeros(2, 20)),
            ("model.norm.lora_A.weight", zeros(2, 20)), ("model.norm.lora_B.weight", zeros(20, 2)),
            ("model.embed_tokens.lora_A.weight", zeros(2, 20)), ("model.embed_tokens.lora_B.weight", zeros(37, 2)),
            ("model.layers.0.input_layernorm.weight", zeros(20)),
            ("model.layers.1.self_attn.v_proj.lora_A.weight", full([2, 20], double.NaN, ScalarType.Float32)), ("model.layers.1.self_attn.v_proj.lora_B.weight", zeros(8, 2, dtype: ScalarType.Int64)));
        Assert.Equal(
        [
            "'model.embed_tokens' is an embedding, but its adapter is that of a linear layer",
            "'model.layers.0.self_attn.o_proj' has the rank 2 in the file, but 3 by the configuration, so that its scale is not known",
            "'model.layers.0.self_attn.q_proj' has A [2, 19] and B [24, 2], but the base needs [2, 20] and [24, 2]",
            "'model.layers.1.self_attn.k_proj' has lora_A.weight only: a pair of A and B is needed",
            "'model.layers.7.self_attn.q_proj' is no layer of this llama",
            "'model.norm' is a norm, which can have no adapter",
            "tensor base_model.model.model.layers.0.input_layernorm.weight is no factor of a layer, and the format has nothing else",
            "tensor base_model.model.model.layers.1.self_attn.v_proj.lora_A.weight holds a NaN or an infinity",
            "tensor base_model.model.model.layers.1.self_attn.v_proj.lora_B.weight has the type I64, but a floating-point type (F16, BF16, F32 or F64) is needed",
        ], Refused().Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Adapters_of_shared_embeddings_are_refused()
    {
        GgufFolders.Make("llama-tied", _folder["model"]);
        Adapter("\"target_modules\":[\"lm_head\",\"embed_tokens\"]",
            ("lm_head.lora_A.weight", zeros(2, 20)), ("lm_head.lora_B.weight", zeros(37, 2)), ("model.embed_tokens.lora_embedding_A", zeros(2, 37)), ("model.embed_tokens.lora_embedding_B", zeros(20, 2)));
        Assert.Equal(
        [
            "'lm_head' is the output head, which shares the token embedding's weight: llama.cpp has no such tensor, so that it cannot have an adapter of its own",
            "'model.embed_tokens' is the token embedding, which is the output head as well: llama.cpp would apply the adapter there too",
        ], Refused().Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Tables_of_positions_are_refused()
    {
        GgufFolders.Make("gpt2", _folder["model"]);
        Adapter("\"target_modules\":[\"wpe\"]", ("transformer.wpe.lora_embedding_A", zeros(2, 24)), ("transformer.wpe.lora_embedding_B", zeros(20, 2)));
        Assert.Equal("'transformer.wpe' is a table of positions, to which llama.cpp applies no adapter", Assert.Single(Refused()));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_copy_of_the_embedding_is_left_out_where_it_is_the_bases(bool isTrained)
    {
        GgufFolders.Make("llama", _folder["model"]);
        using SafetensorsSource model = SafetensorsSource.Open(_folder["model"]);
        Tensor table = model.ReadTensor("model.embed_tokens.weight").add(isTrained ? 1 : 0);
        Adapter("\"target_modules\":[\"q_proj\"]", ("model.embed_tokens.weight", table), ("model.layers.0.self_attn.q_proj.lora_A.weight", zeros(2, 20)), ("model.layers.0.self_attn.q_proj.lora_B.weight", zeros(24, 2)));
        if (isTrained) Assert.Equal("tensor base_model.model.model.embed_tokens.weight is not the base's weight: the format has no whole weights, so that tokens that were added or trained are lost", Assert.Single(Refused()));
        else Assert.Equal(2, Export().Tensors.Count);
        File.Delete(Path.Combine(_folder["model"], "model.safetensors"));
        Assert.Equal(["tensor base_model.model.model.embed_tokens.weight was left out without being compared with the base's weight, which is not at hand"], Export().Remarks);
    }

    [Theory]
    [InlineData("qwen3", ",\"attention_bias\":true", "attention_bias is true, but llama.cpp's qwen3 has no biases.")]
    [InlineData("qwen2", ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":1,\"high_freq_factor\":4,\"original_max_position_embeddings\":16}", "rope_type is \"llama3\", but llama.cpp's qwen2 has no factors of frequencies.")]
    [InlineData("gpt2", ",\"activation_function\":\"relu\"", "activation_function is \"relu\", but llama.cpp's gpt2 has \"gelu_new\".")]
    [InlineData("gpt2", ",\"scale_attn_weights\":false", "scale_attn_weights is false, but llama.cpp's gpt2 divides scores by the root of a head's width.")]
    [InlineData("gpt2", ",\"scale_attn_by_inverse_layer_idx\":true", "scale_attn_by_inverse_layer_idx is true, but llama.cpp's gpt2 does not divide scores by the number of the layer.")]
    public void Models_that_the_runtime_cannot_compute_are_refused(string kind, string setting, string problem)
    {
        GgufFolders.Make(kind, _folder["model"], more: setting);
        Assert.Equal(problem, Assert.Single(Assert.Throws<AdapterFormatException>(() => GgufFolders.Export(_folder["model"], _folder["out.gguf"])).Problems));
        Assert.False(File.Exists(_folder["out.gguf"]));
    }

    [Fact]
    public void Tensors_that_do_not_fit_the_configuration_are_listed()
    {
        GgufFolders.Make("llama", _folder["model"]);
        string file = Path.Combine(_folder["model"], "model.safetensors");
        Dictionary<string, Tensor> tensors;
        using (SafetensorsFile source = SafetensorsFile.Open(file)) tensors = source.Entries.ToDictionary(entry => entry.Name, entry => source.ReadTensor(entry.Name));
        tensors.Remove("model.layers.1.self_attn.k_proj.weight");
        tensors["model.norm.weight"] = ones(19);
        tensors["model.layers.0.mlp.up_proj.weight"] = ones(27, 20).to(ScalarType.Int32);
        tensors["score.weight"] = ones(2, 20);
        tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = ones(2);
        SafetensorsWriter.Save(file, tensors);
        Assert.Equal(
        [
            "missing tensor model.layers.1.self_attn.k_proj.weight",
            "tensor model.layers.0.mlp.up_proj.weight has the type I32, but a floating-point type (F16, BF16, F32 or F64) is needed",
            "tensor model.norm.weight has the shape [19], but [20] is needed",
            "unexpected tensor score.weight, shape [2, 20]",
        ], Assert.Throws<AdapterFormatException>(() => GgufFolders.Export(_folder["model"], _folder["out.gguf"])).Problems.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_number_that_the_type_cannot_hold_leaves_the_old_file()
    {
        GgufFolders.Make("llama", _folder["model"]);
        string file = Path.Combine(_folder["model"], "model.safetensors");
        Dictionary<string, Tensor> tensors;
        using (SafetensorsFile source = SafetensorsFile.Open(file)) tensors = source.Entries.ToDictionary(entry => entry.Name, entry => source.ReadTensor(entry.Name));
        tensors["lm_head.weight"][3, 4] = tensor(70000f);
        SafetensorsWriter.Save(file, tensors);
        File.WriteAllText(_folder["out.gguf"], "as it was");
        InvalidOperationException exception = Assert.Throws<InvalidOperationException>(() => GgufFolders.Export(_folder["model"], _folder["out.gguf"], GgufType.F16));
        Assert.Equal("Tensor 'output.weight' cannot be written as F16: it holds an infinity, a NaN, or a number that is too large for that type.", exception.Message);
        Assert.Equal("as it was", File.ReadAllText(_folder["out.gguf"]));
        Assert.Equal(["model", "out.gguf"], Directory.EnumerateFileSystemEntries(_folder.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Windows_are_remarked_upon()
    {
        GgufFolders.Make("mistral", _folder["model"]);
        string config = Path.Combine(_folder["model"], "config.json");
        File.WriteAllText(config, File.ReadAllText(config).Replace("\"sliding_window\":null", "\"sliding_window\":7", StringComparison.Ordinal));
        GgufExportResult result = GgufModelExport.Run(_folder["model"], _folder["out.gguf"], new GgufModelOptions { IncludeTokenizer = false }, cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(["some layers look at 7 tokens alone (sliding_window), which llama.cpp's llama does not: longer texts get other logits."], result.Remarks);
    }

    private void Adapter(string settings, params (string Name, Tensor Values)[] tensors)
    {
        Directory.CreateDirectory(_folder["adapter"]);
        File.WriteAllText(Path.Combine(_folder["adapter"], "adapter_config.json"), $$"""{"peft_type":"LORA","r":2,"lora_alpha":3,{{settings}}}""");
        SafetensorsWriter.Save(Path.Combine(_folder["adapter"], "adapter_model.safetensors"), tensors.Select(pair => KeyValuePair.Create($"base_model.model.{pair.Name}", pair.Values)));
    }

    private GgufExportResult Export() => GgufAdapterExport.Run(_folder["adapter"], _folder["model"], _folder["adapter.gguf"], cancellationToken: TestContext.Current.CancellationToken);

    private IReadOnlyList<string> Refused()
    {
        AdapterFormatException exception = Assert.Throws<AdapterFormatException>(Export);
        Assert.False(File.Exists(_folder["adapter.gguf"]));
        return exception.Problems;
    }
}
