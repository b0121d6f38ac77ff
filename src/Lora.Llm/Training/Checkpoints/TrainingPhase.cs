namespace Lora.Llm.Training.Checkpoints;

/// <summary>Where a training stands, for tests that stop it there.</summary>
internal enum TrainingPhase
{
    /// <summary>The gradients are there, the optimizer has not stepped.</summary>
    InStep,

    /// <summary>The step is done and reported, its checkpoint not begun.</summary>
    BetweenStepAndSave,

    /// <summary>A file of a checkpoint has been written.</summary>
    FileWritten,

    /// <summary>All files are there, under the temporary name.</summary>
    BeforeMove,

    /// <summary>The checkpoint has its name.</summary>
    AfterMove,

    /// <summary>An old checkpoint has lost its name and is about to be deleted.</summary>
    Pruning,
}
