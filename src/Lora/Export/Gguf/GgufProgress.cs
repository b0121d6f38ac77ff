namespace Lora.Export.Gguf;

/// <summary>How far the writing of a GGUF file has come, after each tensor.</summary>
/// <param name="Tensor">The tensor that is finished.</param>
/// <param name="TensorsDone">How many tensors are finished.</param>
/// <param name="Tensors">How many there are.</param>
/// <param name="BytesDone">How many bytes of tensors are written.</param>
/// <param name="Bytes">How many there will be.</param>
public readonly record struct GgufProgress(string Tensor, int TensorsDone, int Tensors, long BytesDone, long Bytes);
