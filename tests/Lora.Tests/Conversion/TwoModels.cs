using Lora.Layers;
using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Conversion;

/// <summary>A base and a model that was trained in full from it.</summary>
internal static class TwoModels
{
    public static nn.Module<Tensor, Tensor> Base(LayerKind kind = LayerKind.Linear, ScalarType type = ScalarType.Float32) => TestModels.Make(Holder.Field, kind, type);

    /// <summary>The same model with other weights and, where asked for, other biases.</summary>
    public static nn.Module<Tensor, Tensor> Tuned(LayerKind kind = LayerKind.Linear, ScalarType type = ScalarType.Float32, bool withBiases = false)
    {
        nn.Module<Tensor, Tensor> model = Base(kind, type);
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        int seed = 300;
        foreach ((string name, Parameter parameter) in model.named_parameters().Where(p => withBiases || p.name.EndsWith("weight", StringComparison.Ordinal)))
            parameter.add_(Noise.Fill(empty(parameter.shape, ScalarType.Float64, parameter.device), seed++, 0.4).to(type));
        return model;
    }

    /// <summary>ΔW of a layer as a matrix in float64, <c>[out, in·k…]</c>.</summary>
    public static Tensor Delta(nn.Module before, nn.Module after, string path, LayerKind kind)
    {
        Tensor delta = after.state_dict()[path + ".weight"].to(ScalarType.Float64).sub(before.state_dict()[path + ".weight"].to(ScalarType.Float64)).detach();
        if (kind.IsEmbedding() || kind is LayerKind.Transposed) return delta.t();
        return kind is LayerKind.ConvTranspose1d or LayerKind.ConvTranspose3d ? delta.transpose(0, 1).flatten(1) : delta.flatten(1);
    }

    public static double[] Singular(Tensor matrix) => linalg.svdvals(matrix).cpu().data<double>().ToArray();

    public static double Norm(Tensor tensor) => Math.Sqrt(tensor.to(ScalarType.Float64).square().sum().item<double>());

    public static LoraAdapter Adapter<TModel>(LoraModel<TModel> lora, string path)
        where TModel : nn.Module => lora.Layers.Single(layer => layer.Path == path).Layer.Adapter;

    public static void Save(string path, nn.Module model) => SafetensorsWriter.Save(path, model.state_dict());

    /// <summary>Writes tensors as a checkpoint of several files with an index.</summary>
    public static void SaveSharded(string folder, IReadOnlyDictionary<string, Tensor> tensors, int shards)
    {
        Directory.CreateDirectory(folder);
        var map = new Dictionary<string, string>();
        for (int i = 0; i < shards; i++)
        {
            string name = $"model-{i + 1:D5}-of-{shards:D5}.safetensors";
            KeyValuePair<string, Tensor>[] part = [.. tensors.Where((_, index) => index % shards == i)];
            SafetensorsWriter.Save(Path.Combine(folder, name), part);
            foreach ((string key, _) in part) map.Add(key, name);
        }
        File.WriteAllText(Path.Combine(folder, "model.safetensors.index.json"), System.Text.Json.JsonSerializer.Serialize(new { metadata = new { total_size = 1 }, weight_map = map }));
    }
}
