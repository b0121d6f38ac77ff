namespace Lora.Export;

/// <summary>How far a merge has come, after each tensor.</summary>
/// <param name="Tensor">The tensor that is finished, or the file that was found finished.</param>
/// <param name="TensorsDone">How many tensors are finished.</param>
/// <param name="Tensors">How many there are.</param>
/// <param name="BytesDone">How many bytes of tensors are finished.</param>
/// <param name="Bytes">How many there are.</param>
public readonly record struct CheckpointMergeProgress(string Tensor, int TensorsDone, int Tensors, long BytesDone, long Bytes);
