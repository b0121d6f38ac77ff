using System.Runtime.InteropServices;
using Lora.Export;
using Lora.Export.Gguf;
using Lora.Serialization;

namespace Lora.Llm.Export;

/// <summary>Reads the numbers of a checkpoint's tensors in the order in which GGUF has them, merged where adapters change them.</summary>
internal static class GgufNumbers
{
    /// <summary>Passes on the numbers of a tensor. What keeps its order is passed on in pieces; otherwise memory holds the tensor once.</summary>
    /// <returns>What merging has changed; null where it has not.</returns>
    internal static MergedTensor? Write(SafetensorsSource source, PlannedTensor tensor, GgufPlace place, GgufWriter.NumberSink sink)
    {
        bool isVector = tensor.Entry.Shape.Length == 1;
        bool isTurned = place.IsTransposed && !isVector;
        if (place.Heads == 0 && !isTurned) return Read(source, tensor, sink);
        long elements = tensor.Entry.Shape.Aggregate(1L, (product, size) => product * size);
        if (elements > Array.MaxLength) throw new NotSupportedException($"Tensor '{tensor.Name}' has {elements} numbers, more than {Array.MaxLength}, whose order cannot be changed at once.");
        var numbers = new float[elements];
        int held = 0;
        MergedTensor? merged = Read(source, tensor, piece =>
        {
            piece.CopyTo(numbers.AsSpan(held));
            held += piece.Length;
        });
        int rows = (int)place.Shape[0], columns = numbers.Length / rows;
        var row = new float[columns];
        for (int i = 0; i < rows; i++)
        {
            if (isTurned)
            {
                for (int c = 0; c < columns; c++) row[c] = numbers[c * rows + i];
                sink(row);
            }
            else sink(numbers.AsSpan((int)place.SourceRow(i) * columns, columns));
        }
        return merged;
    }

    private static MergedTensor? Read(SafetensorsSource source, PlannedTensor tensor, GgufWriter.NumberSink sink)
    {
        var buffer = Array.Empty<float>();
        var merger = new TensorMerger(source, bytes =>
        {
            int count = bytes.Length * 8 / tensor.Entry.Type.BitsPerElement();
            if (buffer.Length < count) buffer = new float[count];
            Widen(bytes, tensor.Entry.Type, buffer.AsSpan(0, count));
            sink(buffer.AsSpan(0, count));
        });
        if (tensor.Changes) return merger.Merge(tensor);
        merger.Copy(tensor.Entry);
        return null;
    }

    private static void Widen(ReadOnlySpan<byte> bytes, SafetensorsType type, Span<float> numbers)
    {
        switch (type)
        {
            case SafetensorsType.F64:
                ReadOnlySpan<double> doubles = MemoryMarshal.Cast<byte, double>(bytes);
                for (int i = 0; i < numbers.Length; i++) numbers[i] = (float)doubles[i];
                break;
            case SafetensorsType.F32:
                GgufCodec.Decode(bytes, GgufType.F32, numbers);
                break;
            case SafetensorsType.F16:
                GgufCodec.Decode(bytes, GgufType.F16, numbers);
                break;
            default:
                GgufCodec.Decode(bytes, GgufType.BF16, numbers);
                break;
        }
    }
}
