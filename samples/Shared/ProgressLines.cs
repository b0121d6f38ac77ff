using Lora.Llm;

namespace Samples;

/// <summary>Prints ten lines of a training.</summary>
internal sealed class ProgressLines : IProgress<TrainingStep>
{
    private const int Count = 10;

    public void Report(TrainingStep value)
    {
        if (value.Step == 1 || value.Step * Count / value.TotalSteps > (value.Step - 1) * Count / value.TotalSteps)
            Console.WriteLine(FormattableString.Invariant($"step {value.Step}/{value.TotalSteps}  loss {value.Loss:F3}{(value.EvaluationLoss is double held ? FormattableString.Invariant($"  held out {held:F3}") : "")}  {value.Elapsed:m\\:ss}"));
    }
}
