namespace Lora.Llm;

/// <summary>
/// Where and when a training writes down all that it needs to go on. A training that was stopped, killed at any moment too, is started again with the same settings and the same data, and
/// comes to the same numbers as one that was not.
/// </summary>
/// <remarks>
/// A checkpoint is a folder <c>step-N</c> with the adapters in PEFT's files, <c>optimizer.safetensors</c> (what the optimizer has accumulated, and all trained numbers in their own type) and
/// <c>training.json</c>. It is written under another name and then renamed; its files are checked by their hashes before they are used. Random numbers need no place in it: each step seeds torch
/// with a number that follows from <see cref="TrainingOptions.Seed"/> and the step.
/// </remarks>
/// <param name="Folder">The folder of the checkpoints of this training alone; it is made when it does not exist.</param>
public sealed record CheckpointOptions(string Folder)
{
    /// <summary>Writes one after every so many steps. There is one at the end besides, and one whenever the held-out loss is lower than ever, where <see cref="KeepBest"/> is set.</summary>
    /// <value>100 by default.</value>
    public int Interval { get; init; } = 100;

    /// <summary>How many of the last ones are kept.</summary>
    /// <value>2 by default.</value>
    public int KeepLast { get; init; } = 2;

    /// <summary>Whether the one with the lowest held-out loss is kept besides.</summary>
    /// <value>True by default.</value>
    public bool KeepBest { get; init; } = true;

    /// <summary>
    /// Whether the training goes on from the newest checkpoint of the folder that is whole; where there is none, it begins anew. Without, a folder that holds checkpoints is refused.
    /// </summary>
    /// <value>True by default.</value>
    public bool Resume { get; init; } = true;

    /// <summary>The checkpoint to go on from, a folder <c>step-N</c>; it is an error when it is not whole. Null takes the newest.</summary>
    /// <value>Null by default.</value>
    public string? ResumeFrom { get; init; }
}
