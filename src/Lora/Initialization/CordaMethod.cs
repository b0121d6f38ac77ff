namespace Lora.Initialization;

/// <summary>Which part of a weight <see cref="CordaInitialization"/> starts from.</summary>
public enum CordaMethod
{
    /// <summary>The part that matters most for the data, to learn the task that the data is of (instruction-previewed mode, PEFT's <c>ipm</c>).</summary>
    InstructionPreviewed,

    /// <summary>The part that matters least for the data, to keep what the data is about (knowledge-preserved mode, PEFT's <c>kpm</c>).</summary>
    KnowledgePreserved,
}
