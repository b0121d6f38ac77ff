namespace Lora.Llm.Tests.Training;

public sealed class LearningRateScheduleTests
{
    // The lambdas of transformers' get_constant_schedule_with_warmup, get_linear_schedule_with_warmup and get_cosine_schedule_with_warmup.
    [Theory]
    [InlineData(ScheduleKind.Constant, 0, 20)]
    [InlineData(ScheduleKind.Constant, 5, 20)]
    [InlineData(ScheduleKind.Linear, 0, 20)]
    [InlineData(ScheduleKind.Linear, 5, 20)]
    [InlineData(ScheduleKind.Linear, 20, 20)]
    [InlineData(ScheduleKind.Cosine, 0, 1)]
    [InlineData(ScheduleKind.Cosine, 5, 20)]
    [InlineData(ScheduleKind.Cosine, 30, 20)]
    public void Every_step_has_the_rate_of_transformers(ScheduleKind kind, int warmup, int total)
    {
        const double rate = 3e-3;
        var schedule = new LearningRateSchedule(kind, rate, warmup, total);
        for (int step = 0; step <= total; step++)
        {
            double factor = step < warmup ? (double)step / Math.Max(1, warmup) : kind switch
            {
                ScheduleKind.Constant => 1,
                ScheduleKind.Linear => Math.Max(0.0, (double)(total - step) / Math.Max(1, total - warmup)),
                _ => Math.Max(0.0, 0.5 * (1.0 + Math.Cos(Math.PI * 0.5 * 2.0 * ((double)(step - warmup) / Math.Max(1, total - warmup))))),
            };
            Assert.Equal(rate * factor, schedule.At(step), 1e-15);
        }
    }

    [Fact]
    public void The_rate_rises_to_its_height_at_the_border_and_ends_at_zero()
    {
        var schedule = new LearningRateSchedule(ScheduleKind.Cosine, 2, 4, 12);
        Assert.Equal([0, 0.5, 1, 1.5, 2], Enumerable.Range(0, 5).Select(schedule.At));
        Assert.Equal(1, schedule.At(8), 1e-15);
        Assert.Equal(0, schedule.At(12), 1e-15);
    }
}
