using System.Text.Json.Nodes;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models.Vision;

/// <summary>A ResNet written down again: plain functions in float64 over the names and numbers of a file, by its configuration's JSON.</summary>
internal sealed class NaiveResNet(IReadOnlyDictionary<string, Tensor> weights, JsonObject config, bool byBatch = false)
{
    private readonly Func<Tensor, Tensor> _activation = (string)config["hidden_act"]! == "gelu" ? x => nn.functional.gelu(x) : x => x.clamp_min(0);

    /// <summary>The logits of images, shape <c>[batch, labels]</c>.</summary>
    public Tensor Logits(Tensor pixels)
    {
        Tensor x = nn.functional.max_pool2d(_activation(Normed(pixels, "resnet.embedder.embedder", 7, 2)), 3, 2, 1);
        int[] depths = [.. config["depths"]!.AsArray().Select(depth => (int)depth!)];
        for (int stage = 0; stage < depths.Length; stage++)
            for (int layer = 0; layer < depths[stage]; layer++)
                x = Layer(x, $"resnet.encoder.stages.{stage}.layers.{layer}", layer == 0 && (stage > 0 || (bool)config["downsample_in_first_stage"]!) ? 2 : 1);
        return x.mean([2L, 3L]).matmul(Weight("classifier.1.weight").t()).add(Weight("classifier.1.bias"));
    }

    private Tensor Layer(Tensor x, string path, int stride)
    {
        Tensor inner;
        if ((string)config["layer_type"]! == "basic")
        {
            inner = Normed(_activation(Normed(x, $"{path}.layer.0", 3, stride)), $"{path}.layer.1", 3, 1);
        }
        else
        {
            bool early = (bool)config["downsample_in_bottleneck"]!;
            inner = _activation(Normed(x, $"{path}.layer.0", 1, early ? stride : 1));
            inner = _activation(Normed(inner, $"{path}.layer.1", 3, early ? 1 : stride));
            inner = Normed(inner, $"{path}.layer.2", 1, 1);
        }
        return _activation(inner.add(weights.ContainsKey($"{path}.shortcut.convolution.weight") ? Normed(x, $"{path}.shortcut", 1, stride) : x));
    }

    // Each output position is one product of the kernel with the patch below it.
    private Tensor Normed(Tensor x, string path, int kernel, int stride)
    {
        Tensor weight = Weight($"{path}.convolution.weight");
        Tensor padded = nn.functional.pad(x, [kernel / 2, kernel / 2, kernel / 2, kernel / 2]);
        Tensor patches = padded.unfold(2, kernel, stride).unfold(3, kernel, stride);
        Tensor y = einsum("bchwij,ocij->bohw", patches, weight);
        (Tensor mean, Tensor variance) = byBatch
            ? (y.mean([0L, 2L, 3L]), y.var([0L, 2L, 3L], unbiased: false))
            : (Weight($"{path}.normalization.running_mean"), Weight($"{path}.normalization.running_var"));
        return y.sub(Wide(mean)).div(Wide(variance).add(1e-5).sqrt()).mul(Wide(Weight($"{path}.normalization.weight"))).add(Wide(Weight($"{path}.normalization.bias")));

        static Tensor Wide(Tensor perChannel) => perChannel.view(1, -1, 1, 1);
    }

    private Tensor Weight(string name) => weights[name].to(ScalarType.Float64);
}
