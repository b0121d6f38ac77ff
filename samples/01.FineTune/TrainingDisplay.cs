using Lora.Llm;
using Spectre.Console;

namespace FineTune;

/// <summary>Shows a training: a bar on a terminal, some lines where the output goes elsewhere.</summary>
/// <remarks>Both handle each report at once, on the thread that trains; <see cref="Progress{T}"/> would not.</remarks>
internal static class TrainingDisplay
{
    internal static TrainingResult Show(int steps, Func<IProgress<TrainingStep>, TrainingResult> train)
    {
        if (Console.IsOutputRedirected || !AnsiConsole.Profile.Capabilities.Ansi) return train(new Lines());
        return AnsiConsole.Progress()
            .Columns(new ProgressBarColumn(), new PercentageColumn(), new TaskDescriptionColumn { Alignment = Justify.Left })
            .Start(context => train(new Bar(context.AddTask("measuring the start", maxValue: steps))));
    }

    private static string Text(TrainingStep step)
    {
        TimeSpan left = step.Elapsed / step.Step * (step.TotalSteps - step.Step);
        return FormattableString.Invariant($"loss {step.Loss:F3}  {step.TokensPerSecond:N0} tokens/s  {left:m\\:ss} left");
    }

    private sealed class Bar(ProgressTask task) : IProgress<TrainingStep>
    {
        public void Report(TrainingStep value)
        {
            task.Description = Text(value);
            task.Value = value.Step;
        }
    }

    private sealed class Lines : IProgress<TrainingStep>
    {
        private const int Count = 10;

        public void Report(TrainingStep value)
        {
            if (value.Step == 1 || value.Step * Count / value.TotalSteps > (value.Step - 1) * Count / value.TotalSteps)
                Console.WriteLine($"step {value.Step}/{value.TotalSteps}  {Text(value)}");
        }
    }
}
