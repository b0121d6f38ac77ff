using System.Text.Json.Nodes;
using Lora.Serialization;
using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models.Loading;

public sealed class FromPretrainedTests
{
    [Theory]
    [InlineData(ScalarType.Float16, null)]
    [InlineData(ScalarType.BFloat16, null)]
    [InlineData(ScalarType.Float32, null)]
    [InlineData(ScalarType.Float64, null)]
    [InlineData(ScalarType.BFloat16, ScalarType.Float32)]
    [InlineData(ScalarType.Float32, ScalarType.BFloat16)]
    [InlineData(ScalarType.Float16, ScalarType.Float64)]
    public void Weights_arrive_in_the_type_of_the_file_or_the_options(ScalarType stored, ScalarType? asked)
    {
        using var folder = new ModelFolder();
        folder.Write(json => json[stored == ScalarType.Float16 ? "dtype" : "torch_dtype"] = "float8_e4m3fn"); // not what decides
        using LlamaModel original = TinyLlama.Make();
        folder.WriteWeights(original, stored);
        using LlamaModel model = LlamaModel.FromPretrained(folder.Path, new PretrainedOptions { DataType = asked, Device = TestDevice.Current });
        using var scope = NewDisposeScope();
        Assert.False(model.training);
        var found = model.named_parameters().ToDictionary(p => p.name, p => p.parameter);
        Assert.Equal(original.named_parameters().Count(), found.Count);
        foreach ((string name, var parameter) in original.named_parameters())
        {
            Assert.Equal(asked ?? stored, found[name].dtype);
            Assert.Equal(TestDevice.Current.type, found[name].device.type);
            Assert.Equal(TinyLlama.Values(parameter.detach().to(stored).to(asked ?? stored)), TinyLlama.Values(found[name]));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_tied_head_may_be_in_the_file_or_not(bool present)
    {
        LlamaConfig config = TinyLlama.Config with { TieEmbeddings = true };
        using var folder = new ModelFolder();
        folder.Write(_ => { }, config);
        using LlamaModel original = TinyLlama.Make(config);
        folder.WriteWeights(original, ScalarType.Float32, tensors =>
        {
            if (present) tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone();
        });
        using LlamaModel model = LlamaModel.FromPretrained(folder.Path, new PretrainedOptions { Device = TestDevice.Current });
        using var scope = NewDisposeScope();
        Tensor ids = TinyLlama.Ids(2, 5);
        Assert.True(model.call(ids).equal(original.call(ids)).all().item<bool>());
    }

    [Fact]
    public void A_checkpoint_in_several_files_is_one_model()
    {
        using var folder = new ModelFolder();
        folder.Write(_ => { });
        using LlamaModel original = TinyLlama.Make();
        using var scope = NewDisposeScope();
        var map = new JsonObject();
        foreach ((int shard, var part) in original.named_parameters().Chunk(7).Index())
        {
            string name = $"model-{shard}.safetensors";
            SafetensorsWriter.Save(folder[name], part.Select(p => KeyValuePair.Create(p.name, p.parameter.detach())));
            foreach ((string parameter, _) in part) map[parameter] = name;
        }
        File.WriteAllText(folder["model.safetensors.index.json"], new JsonObject { ["weight_map"] = map }.ToJsonString());
        using LlamaModel model = LlamaModel.FromPretrained(folder.Path, new PretrainedOptions { Device = TestDevice.Current });
        Tensor ids = TinyLlama.Ids(2, 5);
        Assert.True(model.call(ids).equal(original.call(ids)).all().item<bool>());
    }

    [Fact]
    public void A_type_that_weights_cannot_have_is_refused()
    {
        using ModelFolder folder = ModelFolder.Of(TinyLlama.Config);
        var error = Assert.Throws<ArgumentException>(() => LlamaModel.FromPretrained(folder.Path, new PretrainedOptions { DataType = ScalarType.Int8 }));
        Assert.Equal("Weights cannot be of type Int8: give Float16, BFloat16, Float32 or Float64.", error.Message);
    }
}
