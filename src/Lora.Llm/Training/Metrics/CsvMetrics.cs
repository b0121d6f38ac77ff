using System.Globalization;
using System.Text;

namespace Lora.Llm;

/// <summary>
/// Writes each step as a row of a CSV file: give it to a training as its progress. A training that goes on from a checkpoint continues the file; rows of steps that it takes again are cut off first. One that begins with the first step begins the file anew, whatever it held.
/// </summary>
/// <remarks>
/// The columns are <c>step, loss, learning_rate, gradient_norm, tokens, skipped, evaluation_loss</c>, then the objective's own numbers and, each with <c>evaluation_</c> in front, those of the held-out examples, then
/// <c>elapsed_seconds, tokens_per_second</c>. Numbers are written so that they read back to the same bits; a cell without a number is empty. Each row is handed to the operating system at once.
/// </remarks>
public sealed class CsvMetrics : IProgress<TrainingStep>, IDisposable
{
    private readonly string _path;
    private readonly bool _timings;
    private FileStream? _stream;
    private string[] _metrics = [];

    /// <summary>Prepares a writer. The file is opened at the first report.</summary>
    /// <param name="path">The file; it is made, with the folders above it, when it does not exist.</param>
    /// <param name="timings">Whether there are the last two columns. Without them, the same training gives the same file.</param>
    public CsvMetrics(string path, bool timings = true)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        (_path, _timings) = (path, timings);
    }

    /// <summary>Writes a row.</summary>
    /// <param name="value">The step.</param>
    /// <exception cref="InvalidDataException">The file exists and has other columns.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public void Report(TrainingStep value)
    {
        ArgumentNullException.ThrowIfNull(value);
        _stream ??= Open(value);
        List<double?> cells =
        [
            value.Step, value.Loss, value.LearningRate, value.GradientNorm, value.Tokens, value.IsSkipped ? 1 : 0, value.EvaluationLoss,
            .. _metrics.Select(name => Metric(value.Metrics, name)), .. _metrics.Select(name => Metric(value.EvaluationMetrics, name)),
        ];
        if (_timings) cells.AddRange([Math.Round(value.Elapsed.TotalSeconds, 3), Math.Round(value.TokensPerSecond, 1)]);
        Write(string.Join(',', cells.Select(cell => cell?.ToString("R", CultureInfo.InvariantCulture))));
    }

    /// <summary>Closes the file.</summary>
    public void Dispose() => _stream?.Dispose();

    private FileStream Open(TrainingStep first)
    {
        _metrics = [.. first.Metrics.Keys];
        string header = string.Join(',', ["step", "loss", "learning_rate", "gradient_norm", "tokens", "skipped", "evaluation_loss", .. _metrics.Select(Quoted), .. _metrics.Select(name => Quoted($"evaluation_{name}"))])
            + (_timings ? ",elapsed_seconds,tokens_per_second" : "");
        if (Path.GetDirectoryName(Path.GetFullPath(_path)) is string folder) Directory.CreateDirectory(folder);
        var stream = new FileStream(_path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
        bool ready = false;
        try
        {
            long kept = first.Step == 1 ? 0 : Kept(stream, header, first.Step);
            stream.SetLength(kept);
            stream.Position = kept;
            _stream = stream;
            if (kept == 0) Write(header);
            ready = true;
            return stream;
        }
        finally
        {
            if (!ready) stream.Dispose();
        }
    }

    // The length of the header and of the whole rows of earlier steps: what is behind them is taken again, or torn.
    private long Kept(FileStream stream, string header, int firstStep)
    {
        byte[] bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        long kept = 0;
        for (int start = 0, end; (end = Array.IndexOf(bytes, (byte)'\n', start)) >= 0; start = end + 1)
        {
            string line = Encoding.UTF8.GetString(bytes, start, end - start);
            if (start == 0 && line != header)
                throw new InvalidDataException($"{_path} has the columns {line}, but this training has {header}: give another file.");
            if (start > 0 && (!int.TryParse(line.Split(',')[0], NumberStyles.None, CultureInfo.InvariantCulture, out int step) || step >= firstStep)) break;
            kept = end + 1;
        }
        return kept;
    }

    private void Write(string line)
    {
        _stream!.Write(Encoding.UTF8.GetBytes(line + "\n"));
        _stream.Flush();
    }

    private static double? Metric(IReadOnlyDictionary<string, double> metrics, string name) => metrics.TryGetValue(name, out double value) ? value : null;

    private static string Quoted(string name) => name.AsSpan().IndexOfAny(",\"\n") < 0 ? name : $"\"{name.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
}
