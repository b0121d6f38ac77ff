namespace Lora.Llm;

/// <summary>How the learning rate goes on after the warm-up.</summary>
public enum ScheduleKind
{
    /// <summary>It stays.</summary>
    Constant,

    /// <summary>It falls in a straight line to zero.</summary>
    Linear,

    /// <summary>It falls to zero along half a cosine.</summary>
    Cosine,
}

/// <summary>The learning rate of each step: a linear warm-up, then the schedule, as transformers computes them.</summary>
internal sealed record LearningRateSchedule(ScheduleKind Kind, double Rate, int WarmupSteps, int TotalSteps)
{
    /// <summary>The rate of a step, counted from 0.</summary>
    internal double At(int step) => Rate * FactorAt(step);

    /// <summary>What the rates of all groups of parameters are multiplied by at a step, counted from 0.</summary>
    internal double FactorAt(int step)
    {
        if (step < WarmupSteps) return (double)step / Math.Max(1, WarmupSteps);
        double length = Math.Max(1, TotalSteps - WarmupSteps);
        return Kind switch
        {
            ScheduleKind.Linear => Math.Max(0, (TotalSteps - step) / length),
            ScheduleKind.Cosine => Math.Max(0, 0.5 * (1 + Math.Cos(Math.PI * (step - WarmupSteps) / length))),
            _ => 1,
        };
    }
}
