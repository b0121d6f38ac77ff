using System.Runtime.InteropServices;
using Lora.Export.Gguf;
using Lora.Serialization;
using static TorchSharp.torch;

namespace Lora.Llm.Export;

/// <summary>One layer of an adapter that is written to a GGUF file.</summary>
/// <param name="Place">The base weight's place.</param>
/// <param name="Down">The tensor A, shape <c>[r, in]</c>.</param>
/// <param name="Up">The tensor B, shape <c>[out, r]</c>.</param>
/// <param name="Scale">What B·A is multiplied with.</param>
internal sealed record GgufAdapterLayer(GgufPlace Place, SafetensorsEntry Down, SafetensorsEntry Up, double Scale)
{
    internal long Rank => Down.Shape[0];

    /// <summary>The alpha with which alpha / r is the layer's scale.</summary>
    internal double Alpha => Scale * Rank;

    internal string DownName => $"{Place.Name}.weight.lora_a";

    internal string UpName => $"{Place.Name}.weight.lora_b";

    /// <summary>A's shape in the file: of a table it holds a row for each token, since the runtime picks rows.</summary>
    internal IReadOnlyList<long> DownShape => Place.IsTable ? [Down.Shape[1], Rank] : [.. Down.Shape];

    internal void WriteDown(SafetensorsSource weights, GgufWriter.NumberSink sink)
    {
        using var scope = NewDisposeScope();
        Tensor down = weights.ReadTensor(Down.Name).to(ScalarType.Float32);
        Pass(Place.IsTable ? down.t() : down, sink);
    }

    /// <summary>Passes on B times a factor, its rows in the order that the base weight's have.</summary>
    internal void WriteUp(SafetensorsSource weights, double factor, GgufWriter.NumberSink sink)
    {
        using var scope = NewDisposeScope();
        Tensor up = weights.ReadTensor(Up.Name).to(ScalarType.Float64);
        if (Place.Heads > 0) up = up.index_select(0, tensor(Enumerable.Range(0, (int)Up.Shape[0]).Select(row => Place.SourceRow(row)).ToArray()));
        Pass(up.mul(factor).to(ScalarType.Float32), sink);
    }

    private static void Pass(Tensor numbers, GgufWriter.NumberSink sink) => sink(MemoryMarshal.Cast<byte, float>(numbers.contiguous().bytes));
}
