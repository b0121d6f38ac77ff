using System.Text.Json;
using Lora.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Golden;

/// <summary>Builds the modules that a <c>case.json</c> names, from PyTorch's type names and arguments.</summary>
internal static class SpecModules
{
    internal static nn.Module Make(string type, JsonElement args, ScalarType dtype)
    {
        Device device = TestDevice.Current;
        bool bias = !args.TryGetProperty("bias", out JsonElement given) || given.GetBoolean();
        return type switch
        {
            "Linear" => nn.Linear(Count(args, "in_features"), Count(args, "out_features"), bias, device, dtype),
            "Embedding" => nn.Embedding(Count(args, "num_embeddings"), Count(args, "embedding_dim"), args.TryGetProperty("padding_idx", out JsonElement index) ? index.GetInt64() : null, device: device, dtype: dtype),
            "LayerNorm" => nn.LayerNorm(Shape(args.GetProperty("normalized_shape")), device: device, dtype: dtype),
            "HFConv1D" => new TransposedLinear(Count(args, "nx"), Count(args, "nf"), device: device, dataType: dtype),
            "Conv1d" => Conv1d(args, bias, device, dtype),
            "Conv2d" => Conv2d(args, bias, device, dtype),
            "Conv3d" => Conv3d(args, bias, device, dtype),
            "MultiheadAttention" => Attention(args, bias).to(dtype).to(device),
            "Experts" => new Experts(Count(args, "num"), Count(args, "d"), Count(args, "h"), args.GetProperty("layout").GetString()!),
            _ => throw new NotSupportedException($"The golden tests cannot build a module of type '{type}' yet."),
        };
    }

    // TorchSharp's has no batch_first: the model transposes around it.
    private static TorchSharp.Modules.MultiheadAttention Attention(JsonElement args, bool bias) => nn.MultiheadAttention(Count(args, "embed_dim"), Count(args, "num_heads"), bias: bias);

    private static TorchSharp.Modules.Conv1d Conv1d(JsonElement args, bool bias, Device device, ScalarType dtype)
    {
        (long input, long output, long kernel, long stride, long dilation) = (Count(args, "in_channels"), Count(args, "out_channels"), Size(args, "kernel_size", 1, 1)[0], Size(args, "stride", 1, 1)[0], Size(args, "dilation", 1, 1)[0]);
        (PaddingModes mode, long groups) = (Mode(args), Groups(args));
        return NamedPadding(args) is Padding named
            ? nn.Conv1d(input, output, kernel, named, stride, dilation, mode, groups, bias, device, dtype)
            : nn.Conv1d(input, output, kernel, stride, Size(args, "padding", 0, 1)[0], dilation, mode, groups, bias, device, dtype);
    }

    private static TorchSharp.Modules.Conv2d Conv2d(JsonElement args, bool bias, Device device, ScalarType dtype)
    {
        (long, long) Pair(string name, long otherwise) => Size(args, name, otherwise, 2) is [var a, var b] ? (a, b) : default;
        (long input, long output, PaddingModes mode, long groups) = (Count(args, "in_channels"), Count(args, "out_channels"), Mode(args), Groups(args));
        return NamedPadding(args) is Padding named
            ? nn.Conv2d(input, output, Pair("kernel_size", 1), named, Pair("stride", 1), Pair("dilation", 1), mode, groups, bias, device, dtype)
            : nn.Conv2d(input, output, Pair("kernel_size", 1), Pair("stride", 1), Pair("padding", 0), Pair("dilation", 1), mode, groups, bias, device, dtype);
    }

    private static TorchSharp.Modules.Conv3d Conv3d(JsonElement args, bool bias, Device device, ScalarType dtype)
    {
        (long, long, long) Triple(string name, long otherwise) => Size(args, name, otherwise, 3) is [var a, var b, var c] ? (a, b, c) : default;
        (long input, long output, PaddingModes mode, long groups) = (Count(args, "in_channels"), Count(args, "out_channels"), Mode(args), Groups(args));
        return NamedPadding(args) is Padding named
            ? nn.Conv3d(input, output, Triple("kernel_size", 1), named, Triple("stride", 1), Triple("dilation", 1), mode, groups, bias, device, dtype)
            : nn.Conv3d(input, output, Triple("kernel_size", 1), Triple("stride", 1), Triple("padding", 0), Triple("dilation", 1), mode, groups, bias, device, dtype);
    }

    private static long Count(JsonElement args, string name) => args.GetProperty(name).GetInt64();

    private static long Groups(JsonElement args) => args.TryGetProperty("groups", out JsonElement groups) ? groups.GetInt64() : 1;

    private static PaddingModes Mode(JsonElement args) => args.TryGetProperty("padding_mode", out JsonElement mode) ? Enum.Parse<PaddingModes>(mode.GetString()!, ignoreCase: true) : PaddingModes.Zeros;

    private static Padding? NamedPadding(JsonElement args) =>
        args.TryGetProperty("padding", out JsonElement padding) && padding.ValueKind == JsonValueKind.String ? Enum.Parse<Padding>(padding.GetString()!, ignoreCase: true) : null;

    // One number stands for all dimensions.
    private static long[] Size(JsonElement args, string name, long otherwise, int dimensions) => args.TryGetProperty(name, out JsonElement value)
        ? value.ValueKind == JsonValueKind.Array ? Shape(value) : [.. Enumerable.Repeat(value.GetInt64(), dimensions)]
        : [.. Enumerable.Repeat(otherwise, dimensions)];

    private static long[] Shape(JsonElement shape) => shape.ValueKind == JsonValueKind.Array ? [.. shape.EnumerateArray().Select(d => d.GetInt64())] : [shape.GetInt64()];
}
