using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.PublicApi.Tests;

/// <summary>Adapters that come from elsewhere and go there, against the public surface alone.</summary>
public sealed class FileFormatTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void From_kohya_over_diffusers_to_PEFT()
    {
        using DisposeScope scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor down = arange(12, dtype: ScalarType.Float32).view(2, 6).sub(5).div(12), up = arange(36, dtype: ScalarType.Float32).view(18, 2).sub(20).div(40);
        Serialization.SafetensorsWriter.Save(_folder["style.safetensors"], new Dictionary<string, Tensor>
        {
            ["lora_unet__hidden.lora_down.weight"] = down,
            ["lora_unet__hidden.lora_up.weight"] = up,
            ["lora_unet__hidden.alpha"] = tensor(1f),
            ["lora_te_layer.alpha"] = tensor(1f),
        });
        nn.Module<Tensor, Tensor> model = nn.Sequential(("_hidden", nn.Linear(6, 18, device: TestDevice.Current)));
        Tensor x = arange(12, dtype: ScalarType.Float32, device: TestDevice.Current).view(2, 6).cos();
        Tensor expected = model.call(x).add(x.matmul(up.matmul(down).t().to(x.device)).mul(0.5));

        AdapterFormat kohya = AdapterFormat.Kohya("lora_unet", otherPrefixes: ["lora_te"]), diffusers = AdapterFormat.Diffusers("unet");
        using (LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Load(model, _folder["style.safetensors"], loading: new LoadOptions { Format = kohya }))
        {
            Assert.Equal(["tensors for other models (lora_te_) were passed over: 1"], lora.LoadReport);
            Assert.True(expected.allclose(model.call(x), 1e-5, 1e-6));
            lora.SaveAdapter("default", _folder["diffusers"], diffusers);
        }
        using (LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Load(model, _folder["diffusers"], loading: new LoadOptions { Format = diffusers }))
        {
            Assert.True(File.Exists(_folder["diffusers/pytorch_lora_weights.safetensors"]));
            Assert.Empty(lora.LoadAdapter("again", _folder["style.safetensors"], loading: new LoadOptions { Format = kohya }).Skip(1));
            lora.Save(_folder["peft"]);
        }
        using LoraModel<nn.Module<Tensor, Tensor>> peft = LoraModel.Load(model, _folder["peft"]);
        Assert.True(expected.allclose(model.call(x), 1e-5, 1e-6));
    }
}
