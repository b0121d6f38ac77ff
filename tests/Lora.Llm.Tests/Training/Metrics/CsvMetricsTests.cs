using Lora.Tests;

namespace Lora.Llm.Tests.Training.Metrics;

public sealed class CsvMetricsTests
{
    private const string Header = "step,loss,learning_rate,gradient_norm,tokens,skipped,evaluation_loss";

    [Fact]
    public void Each_step_is_a_row_that_reads_back_to_the_same_bits()
    {
        using var folder = new TemporaryFolder();
        string path = folder[Path.Combine("new", "losses.csv")];
        using (var metrics = new CsvMetrics(path))
        {
            metrics.Report(Step(1, 1 / 3.0) with { EvaluationLoss = Math.PI });
            Assert.Equal(2, File.ReadAllLines(path).Length); // at once
            metrics.Report(Step(2, 5e-324) with { IsSkipped = true, GradientNorm = double.PositiveInfinity });
        }
        Assert.Equal($"{Header},elapsed_seconds,tokens_per_second\n1,0.3333333333333333,0.001,0.5,7,0,3.141592653589793,1.25,99.9\n2,5E-324,0.001,Infinity,7,1,,1.25,99.9\n", File.ReadAllText(path));
    }

    [Theory]
    [InlineData(3, "1 2")] // rows of steps that are taken again are cut
    [InlineData(4, "1 2 3")] // so is a torn one
    [InlineData(9, "1 2 3")]
    [InlineData(1, "")]
    public void A_resumed_training_goes_on_in_the_file(int from, string kept)
    {
        using var folder = new TemporaryFolder();
        string path = folder["losses.csv"];
        using (var metrics = new CsvMetrics(path, timings: false))
            for (int i = 1; i <= 3; i++) metrics.Report(Step(i, i));
        File.AppendAllText(path, "4,0.2");
        using (var metrics = new CsvMetrics(path, timings: false)) metrics.Report(Step(from, 0.125));
        string[] lines = File.ReadAllLines(path);
        Assert.Equal(Header, lines[0]);
        Assert.Equal([.. kept.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(step => $"{step},{step},0.001,0.5,7,0,"), $"{from},0.125,0.001,0.5,7,0,"], lines[1..]);
    }

    [Fact]
    public void The_objectives_numbers_have_columns_and_other_columns_are_refused()
    {
        using var folder = new TemporaryFolder();
        string path = folder["losses.csv"];
        TrainingStep step = Step(1, 2) with { Metrics = new Dictionary<string, double> { ["margin"] = 0.5, ["a,b"] = -1 }, EvaluationMetrics = new Dictionary<string, double> { ["a,b"] = 3 } };
        using (var metrics = new CsvMetrics(path, timings: false)) metrics.Report(step);
        string header = $"{Header},margin,\"a,b\",evaluation_margin,\"evaluation_a,b\"";
        Assert.Equal($"{header}\n1,2,0.001,0.5,7,0,,0.5,-1,,3\n", File.ReadAllText(path));
        using var other = new CsvMetrics(path, timings: false);
        Assert.Equal($"{path} has the columns {header}, but this training has {Header}: give another file.", Assert.Throws<InvalidDataException>(() => other.Report(Step(2, 1))).Message);
        Assert.Equal(2, File.ReadAllLines(path).Length);
    }

    private static TrainingStep Step(int number, double loss) => new(number, 10, loss, 1e-3, 0.5, 7, TimeSpan.FromSeconds(1.25), 99.94, null);
}
