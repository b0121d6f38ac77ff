using Lora.Export;
using Lora.Serialization;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Export;

/// <summary>What a merge into a folder computes, writes and refuses.</summary>
[Collection(Alone.Name)]
public sealed class CheckpointMergeTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(ScalarType.Float64, 1e-14)]
    [InlineData(ScalarType.Float32, 6e-8)]
    [InlineData(ScalarType.Float16, 4.9e-4)]
    [InlineData(ScalarType.BFloat16, 4e-3)]
    public void Results_are_rounded_once(ScalarType type, double relative)
    {
        Dictionary<string, Tensor> model = MergeFiles.Model(_folder["model"], type);
        MergeFiles.Adapter(_folder["one"]);
        MergeFiles.Adapter(_folder["two"], seed: 90, ScalarType.Float64);
        CheckpointMergeResult result = Merge("one", "two");
        using SafetensorsSource merged = SafetensorsSource.Open(_folder["merged"]);
        Assert.Equal(MergeFiles.Layers, result.Tensors.Count);
        Assert.True(model.Count == 2 * MergeFiles.Layers);
        for (int layer = 0; layer < MergeFiles.Layers; layer++)
        {
            string name = MergeFiles.Name(layer, "q_proj");
            Tensor weight = model[name].to(ScalarType.Float64), expected = weight.add(Delta(40 + layer, ScalarType.Float32)).add(Delta(90 + layer, ScalarType.Float64)), found = merged.ReadTensor(name);
            Assert.Equal(type, found.dtype);
            Tensor error = found.to(ScalarType.Float64).sub(expected).abs();
            Assert.True(error.le(expected.abs().mul(relative).add(relative / 100)).all().item<bool>(), $"{name} differs by up to {error.max().item<double>():G4}");
            MergedTensor told = result.Tensors.Single(tensor => tensor.Name == name);
            Assert.Equal(Norm(expected.sub(weight)) / Norm(weight), told.RelativeChange, 1e-5);
            Assert.InRange(told.LargestRounding, 0, Math.Max(expected.abs().max().item<double>() * relative, 1e-300));
        }
        Assert.Equal("as it was", File.ReadAllText(Path.Combine(_folder["merged"], "more", "notes.txt")));
    }

    // Larger than what is computed at a time, with the norms of rows and of columns.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Tensors_of_several_pieces_are_whole(bool transposed)
    {
        const int Rows = 1100, Columns = 1901;
        Tensor weight = MergeFiles.Numbers(3, Rows, Columns).to(ScalarType.Float32), magnitude = MergeFiles.Numbers(5, transposed ? Columns : Rows).add(2).to(ScalarType.Float32);
        MergeFiles.Save(_folder["model"], new() { ["h.c_fc.weight"] = weight });
        (string Name, Tensor Values)[] pair = transposed ? MergeFiles.Pair("h.c_fc", 40, Columns, Rows) : MergeFiles.Pair("h.c_fc", 40, Rows, Columns);
        MergeFiles.Adapter(_folder["one"], "\"target_modules\":[\"c_fc\"],\"use_dora\":true", [.. pair, ("h.c_fc.lora_magnitude_vector", magnitude)]);
        Merge("one");
        Tensor delta = pair[1].Values.to(ScalarType.Float64).matmul(pair[0].Values.to(ScalarType.Float64)).mul(1.5);
        Tensor sum = weight.to(ScalarType.Float64).add(transposed ? delta.t() : delta);
        Tensor expected = sum.div(sum.square().sum([transposed ? 0L : 1L], keepdim: true).sqrt()).mul(transposed ? magnitude.unsqueeze(0) : magnitude.unsqueeze(1));
        using SafetensorsSource merged = SafetensorsSource.Open(_folder["merged"]);
        Assert.InRange(merged.ReadTensor("h.c_fc.weight").sub(expected).abs().max().item<double>(), 0, 1e-7);
    }

    [Theory]
    [InlineData("model.embed_tokens", false)]
    [InlineData("lm_head", false)]
    [InlineData("lm_head", true)]
    public void A_head_that_shared_the_embeddings_weight_gets_its_own(string path, bool hasCopy)
    {
        Tensor table = MergeFiles.Numbers(3, 11, 5).to(ScalarType.Float32);
        var tensors = new Dictionary<string, Tensor> { ["model.embed_tokens.weight"] = table };
        // In the other file.
        if (hasCopy) tensors["lm_head.weight"] = table;
        tensors["model.norm.weight"] = MergeFiles.Numbers(4, 5).to(ScalarType.Float32);
        MergeFiles.Save(_folder["model"], tensors, files: 2, config: """{"model_type":"llama","tie_word_embeddings":true}""");
        (string, Tensor)[] pair = path == "lm_head" ? MergeFiles.Pair(path, 40, 11, 5) : [($"{path}.lora_embedding_A", MergeFiles.Numbers(41, 2, 11).to(ScalarType.Float32)), ($"{path}.lora_embedding_B", MergeFiles.Numbers(42, 5, 2).to(ScalarType.Float32))];
        MergeFiles.Adapter(_folder["one"], $"\"target_modules\":[\"{path}\"]", pair);
        Assert.True(Merge("one").UntiesHead);
        Assert.Contains("\"tie_word_embeddings\": false", File.ReadAllText(Path.Combine(_folder["merged"], "config.json")), StringComparison.Ordinal);
        using SafetensorsSource merged = SafetensorsSource.Open(_folder["merged"]);
        Assert.Equal(["lm_head.weight", "model.embed_tokens.weight", "model.norm.weight"], merged.Entries.Select(entry => entry.Name).Order(StringComparer.Ordinal));
        Assert.Equal(path == "lm_head", merged.ReadTensor("model.embed_tokens.weight").allclose(table, 0, 0));
        Assert.Equal(path != "lm_head", merged.ReadTensor("lm_head.weight").allclose(table, 0, 0));
    }

    [Fact]
    public void Weights_of_other_forms_and_adapters_are_left_out()
    {
        MergeFiles.Model(_folder["model"]);
        MergeFiles.Adapter(_folder["one"]);
        foreach (string file in new[] { "pytorch_model.bin", "model.gguf", "adapter_config.json", "tokenizer.json", ".hidden" }) File.WriteAllText(Path.Combine(_folder["model"], file), "{}");
        Assert.Equal(["adapter_config.json", "model.gguf", "pytorch_model.bin"], Merge("one").LeftOut);
        Assert.Equal(
            ["config.json", "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors", "model.safetensors.index.json", Path.Combine("more", "notes.txt"), "tokenizer.json"],
            MergeFiles.Bytes(_folder["merged"]).Keys);
    }

    [Fact]
    public void Destinations_that_would_lose_something_are_refused()
    {
        MergeFiles.Model(_folder["model"]);
        MergeFiles.Adapter(_folder["one"]);
        Directory.CreateDirectory(_folder["merged"]);
        File.WriteAllText(Path.Combine(_folder["merged"], "mine.txt"), "");
        Assert.Equal($"'{_folder["merged"]}' exists: give a new folder, or delete it first.", Assert.Throws<IOException>(() => Merge("one")).Message);
        File.Delete(Path.Combine(_folder["merged"], "mine.txt"));
        Merge("one");
        string inside = Path.Combine(_folder["model"], "merged");
        Assert.StartsWith(
            $"'{inside}' is inside the model's folder '{_folder["model"]}': give a folder outside of it.",
            Assert.Throws<ArgumentException>(() => CheckpointMerge.Run(_folder["model"], [_folder["one"]], inside, cancellationToken: TestContext.Current.CancellationToken)).Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(inside + ".partial"));
    }

    [Fact]
    public void Missing_folders_and_settings_are_named()
    {
        MergeFiles.Model(_folder["model"]);
        Assert.Equal($"There is no adapter folder '{_folder["none"]}'.", Assert.Throws<DirectoryNotFoundException>(() => Merge("none")).Message);
        Assert.StartsWith("At least one adapter is needed.", Assert.Throws<ArgumentException>(() => Merge()).Message, StringComparison.Ordinal);
        MergeFiles.Adapter(_folder["one"]);
        Assert.Equal("MaxShardBytes must be at least 1, but is 0.", Assert.Throws<ArgumentException>(() => CheckpointMerge.Run(
            _folder["model"], [_folder["one"]], _folder["merged"], new CheckpointMergeOptions { MaxShardBytes = 0 }, cancellationToken: TestContext.Current.CancellationToken)).Message);
        Directory.Delete(_folder["model"], recursive: true);
        Assert.Equal($"There is no model folder '{_folder["model"]}'.", Assert.Throws<DirectoryNotFoundException>(() => Merge("one")).Message);
    }

    [Theory]
    [InlineData("\"target_modules\":[\"q_proj\"],\"init_lora_weights\":\"pissa\"", "model.layers.0.q_proj", 7, 5, "init_lora_weights is \"pissa\", with which the base holds another part of the update: convert the adapter to a plain one first")]
    [InlineData("\"target_modules\":[\"q_proj\"],\"layer_replication\":[[0,2],[1,3]]", "model.layers.0.q_proj", 7, 5, "layer_replication is set: copies of a layer share one weight, which cannot hold the updates of all")]
    [InlineData("\"target_modules\":[\"q_proj\"],\"alora_invocation_tokens\":[3,4]", "model.layers.0.q_proj", 7, 5, "alora_invocation_tokens is set: the weight is another one behind the invocation than before it, which merging would make one")]
    [InlineData("\"target_modules\":[\"k_proj\"]", "model.layers.0.k_proj", 7, 5, "'model.layers.0.k_proj' has an adapter, but the checkpoint has no tensor 'model.layers.0.k_proj.weight'")]
    [InlineData("\"target_modules\":[\"q_proj\"]", "model.layers.0.q_proj", 6, 5, "'model.layers.0.q_proj' has A [2, 5] and B [6, 2], which do not fit 'model.layers.0.q_proj.weight', shape [7, 5]")]
    [InlineData("\"target_modules\":[\"q_proj\"],\"use_dora\":true", "model.layers.0.q_proj", 7, 5, "'model.layers.0.q_proj' lacks lora_magnitude_vector, which use_dora asks for")]
    [InlineData("\"target_modules\":[\"q_proj\"],\"rank_pattern\":{\"q_proj\":4}", "model.layers.0.q_proj", 7, 5, "'model.layers.0.q_proj' has the rank 2 in the file, but 4 by the configuration, so that its scale is not known")]
    public void Adapters_that_cannot_be_merged_are_refused(string settings, string path, long outputs, long inputs, string problem)
    {
        MergeFiles.Model(_folder["model"]);
        MergeFiles.Adapter(_folder["one"], settings, MergeFiles.Pair(path, 40, outputs, inputs));
        var thrown = Assert.Throws<AdapterFormatException>(() => Merge("one"));
        Assert.Equal([problem], thrown.Problems);
        Assert.Equal(_folder["one"], thrown.Path);
        Assert.Equal(["model", "one"], Directory.EnumerateFileSystemEntries(_folder.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Tensors_that_cannot_be_changed_are_all_named()
    {
        Dictionary<string, Tensor> model = MergeFiles.Model(_folder["model"]);
        model[MergeFiles.Name(0, "q_proj")] = model[MergeFiles.Name(0, "q_proj")].to(ScalarType.Int8);
        model["score.weight"] = MergeFiles.Numbers(1, 3, 5).to(ScalarType.Int8);
        MergeFiles.Save(_folder["other"], model);
        MergeFiles.Adapter(_folder["one"], "\"target_modules\":[\"q_proj\"],\"modules_to_save\":[\"score\"]",
            [.. MergeFiles.Pair("model.layers.0.q_proj", 40, 7, 5), ("score.weight", MergeFiles.Numbers(1, 3, 5)), ("model.layers.1.norm.weight", MergeFiles.Numbers(1, 5))]);
        Assert.Equal(
            [
                "unexpected tensor base_model.model.model.layers.1.norm.weight: it has the name of a base weight, which the configuration does not say is saved with the adapter",
                "tensor base_model.model.score.weight has the type F64, but 'score.weight' has I8, which holds no such numbers",
                "'model.layers.0.q_proj' has a weight of type I8, to which no update can be added: merge into the checkpoint before it was quantised",
            ],
            Assert.Throws<AdapterFormatException>(() => CheckpointMerge.Run(_folder["other"], [_folder["one"]], _folder["merged"], cancellationToken: TestContext.Current.CancellationToken)).Problems);
    }

    [Fact]
    public void A_result_beyond_the_type_is_refused()
    {
        MergeFiles.Save(_folder["model"], new() { ["q_proj.weight"] = full([7, 5], 65000, dtype: ScalarType.Float16) });
        MergeFiles.Adapter(_folder["one"], "\"target_modules\":[\"q_proj\"]", ("q_proj.lora_A.weight", ones(2, 5).mul(100)), ("q_proj.lora_B.weight", ones(7, 2).mul(100)));
        Assert.Equal("'q_proj.weight' cannot be merged: the result holds a number that F16 cannot, an infinity or a NaN.", Assert.Throws<InvalidOperationException>(() => Merge("one")).Message);
        Assert.False(Directory.Exists(_folder["merged"]));
    }

    [Fact]
    public void Nothing_stays_alive()
    {
        MergeFiles.Model(_folder["model"]);
        MergeFiles.Adapter(_folder["one"]);
        Leaks.AssertNone(3, () =>
        {
            Merge("one");
            Directory.Delete(_folder["merged"], recursive: true);
        });
    }

    private CheckpointMergeResult Merge(params string[] adapters) =>
        CheckpointMerge.Run(_folder["model"], adapters.Select(adapter => _folder[adapter]), _folder["merged"], cancellationToken: TestContext.Current.CancellationToken);

    private static Tensor Delta(int seed, ScalarType type)
    {
        (string, Tensor Values)[] pair = MergeFiles.Pair("", seed, 7, 5, type);
        return pair[1].Values.to(ScalarType.Float64).matmul(pair[0].Values.to(ScalarType.Float64)).mul(1.5);
    }

    private static double Norm(Tensor tensor) => Math.Sqrt(tensor.square().sum().item<double>());
}
