namespace Lora.Llm;

/// <summary>A training was stopped by one of its <see cref="TrainingGuards"/>; the message says why. Turn the guard off with <see cref="TrainingOptions.Guards"/> to go on regardless.</summary>
public sealed class TrainingGuardException : InvalidOperationException
{
    internal TrainingGuardException(TrainingGuards guard, int step, string message)
        : base(message)
    {
        (Guard, Step) = (guard, step);
    }

    /// <summary>The guard.</summary>
    public TrainingGuards Guard { get; }

    /// <summary>The step that it stopped, from 1; 0 before the first.</summary>
    public int Step { get; }
}
