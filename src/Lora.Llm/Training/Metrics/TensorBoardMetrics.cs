using System.Globalization;

namespace Lora.Llm;

/// <summary>
/// Writes each step into an event file that TensorBoard shows: give it to a training as its progress. A training that goes on from a checkpoint writes a further file into the folder, which begins
/// with the mark by which TensorBoard drops what the earlier one has from that step on.
/// </summary>
/// <remarks>
/// The tags are <c>train/loss</c>, <c>train/learning_rate</c>, <c>train/gradient_norm</c>, <c>train/tokens_per_second</c>, <c>train/loss_scale</c> and <c>evaluation/loss</c>, and the objective's own numbers
/// behind <c>train/</c> and <c>evaluation/</c>. TensorBoard keeps float32.
/// </remarks>
public sealed class TensorBoardMetrics : IProgress<TrainingStep>, IDisposable
{
    private static int s_files;

    private readonly string _folder;
    private readonly TimeProvider _time;
    private FileStream? _stream;

    /// <summary>Prepares a writer. The file is opened at the first report.</summary>
    /// <param name="folder">The folder of the run; it is made when it does not exist.</param>
    /// <param name="time">The clock; null for the system's.</param>
    public TensorBoardMetrics(string folder, TimeProvider? time = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        (_folder, _time) = (folder, time ?? TimeProvider.System);
    }

    /// <summary>Writes the numbers of a step.</summary>
    /// <param name="value">The step.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public void Report(TrainingStep value)
    {
        ArgumentNullException.ThrowIfNull(value);
        if (_stream is null)
        {
            _stream = Open();
            Write(EventRecord.FileVersion(Now));
            Write(EventRecord.Start(Now, value.Step));
        }
        IEnumerable<(string, double?)> scalars =
        [
            ("train/loss", value.Loss), ("train/learning_rate", value.LearningRate), ("train/gradient_norm", value.GradientNorm), ("train/tokens_per_second", value.TokensPerSecond),
            ("train/loss_scale", value.LossScale), ("evaluation/loss", value.EvaluationLoss),
            .. value.Metrics.Select(metric => ($"train/{metric.Key}", (double?)metric.Value)), .. value.EvaluationMetrics.Select(metric => ($"evaluation/{metric.Key}", (double?)metric.Value)),
        ];
        Write(EventRecord.Scalars(Now, value.Step, [.. scalars.Where(scalar => scalar.Item2 is not null).Select(scalar => (scalar.Item1, (float)scalar.Item2!.Value))]));
    }

    /// <summary>Closes the file.</summary>
    public void Dispose() => _stream?.Dispose();

    private double Now => (_time.GetUtcNow() - DateTimeOffset.UnixEpoch).TotalSeconds;

    // TensorBoard reads every file of the folder whose name holds tfevents, in the order of their names.
    private FileStream Open()
    {
        Directory.CreateDirectory(_folder);
        string name = string.Create(CultureInfo.InvariantCulture, $"events.out.tfevents.{(long)Now:D10}.{Environment.MachineName}.{Environment.ProcessId}.{Interlocked.Increment(ref s_files)}");
        return new FileStream(Path.Combine(_folder, name), FileMode.CreateNew, FileAccess.Write, FileShare.Read);
    }

    private void Write(byte[] message)
    {
        _stream!.Write(EventRecord.Framed(message));
        _stream.Flush();
    }
}
