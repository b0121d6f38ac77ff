namespace Lora.Export;

/// <summary>What a merge has written.</summary>
/// <param name="Folder">The new folder.</param>
/// <param name="Tensors">The tensors that adapters change, in the order in which they were written.</param>
/// <param name="Files">The files of tensors, by name.</param>
/// <param name="ReusedFiles">How many of them an earlier run, which was cut short, had finished.</param>
/// <param name="LeftOut">Files of the original that are not in the new folder, since they hold weights in another form or belong to an adapter.</param>
/// <param name="UntiesHead">Whether the output head, which shared the token embedding's weight, has its own now; <c>config.json</c> says so.</param>
public sealed record CheckpointMergeResult(
    string Folder, IReadOnlyList<MergedTensor> Tensors, IReadOnlyList<string> Files, int ReusedFiles, IReadOnlyList<string> LeftOut, bool UntiesHead);
