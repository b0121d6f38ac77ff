using Lora.Tests;

namespace Lora.Llm.Tests.Training.Metrics;

public sealed class TensorBoardMetricsTests
{
    [Fact]
    public void The_readers_checksum_is_the_published_one() => Assert.Equal(0xE3069283u, EventFileReader.Checksum("123456789"u8));

    [Fact]
    public void Every_number_of_a_step_can_be_read_back()
    {
        using var folder = new TemporaryFolder();
        using (var metrics = new TensorBoardMetrics(folder["run"], new Clock()))
        {
            metrics.Report(Step(1));
            metrics.Report(Step(300) with
            {
                EvaluationLoss = 2.5,
                LossScale = 1024,
                Metrics = new Dictionary<string, double> { ["rewards/margin"] = -0.75 },
                EvaluationMetrics = new Dictionary<string, double> { ["Genauigkeit ä"] = 1 / 3.0 },
            });
        }
        string file = Assert.Single(Directory.GetFiles(folder["run"]));
        Assert.StartsWith("events.out.tfevents.1700000000.", Path.GetFileName(file), StringComparison.Ordinal);
        List<EventFileReader.Event> events = EventFileReader.Read(file);
        Assert.Equal(4, events.Count);
        Assert.All(events, one => Assert.Equal(1700000000.5, one.Time));
        Assert.Equal(("brain.Event:2", 0), (events[0].Version, events[0].Step));
        Assert.True(events[1].Starts && events[1].Step == 1);
        Assert.Equal((1, 300), (events[2].Step, events[3].Step));
        Assert.Equal(new Dictionary<string, float> { ["train/loss"] = 0.1f, ["train/learning_rate"] = 1e-3f, ["train/gradient_norm"] = 0.5f, ["train/tokens_per_second"] = 99.94f }, events[2].Scalars);
        Assert.Equal(new Dictionary<string, float>
        {
            ["train/loss"] = 0.1f,
            ["train/learning_rate"] = 1e-3f,
            ["train/gradient_norm"] = 0.5f,
            ["train/tokens_per_second"] = 99.94f,
            ["train/loss_scale"] = 1024,
            ["evaluation/loss"] = 2.5f,
            ["train/rewards/margin"] = -0.75f,
            ["evaluation/Genauigkeit ä"] = 1 / 3f,
        }, events[3].Scalars);
    }

    [Fact]
    public void A_resumed_training_writes_a_file_that_takes_the_later_steps_back()
    {
        using var folder = new TemporaryFolder();
        using (var metrics = new TensorBoardMetrics(folder.Path)) metrics.Report(Step(7));
        using (var metrics = new TensorBoardMetrics(folder.Path)) metrics.Report(Step(5));
        Assert.Equal(2, Directory.GetFiles(folder.Path).Length);
        Assert.Contains(Directory.GetFiles(folder.Path).Select(EventFileReader.Read), events => events[1] is { Starts: true, Step: 5 } && events[2].Step == 5);
    }

    private static TrainingStep Step(int number) => new(number, 400, 0.1, 1e-3, 0.5, 7, TimeSpan.FromSeconds(1.25), 99.94, null);

    private sealed class Clock : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => DateTimeOffset.FromUnixTimeMilliseconds(1700000000500);
    }
}
