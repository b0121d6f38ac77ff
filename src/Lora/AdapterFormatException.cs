namespace Lora;

/// <summary>Thrown when an adapter file, or a safetensors or GGUF file of any kind, does not hold what it should. It lists everything that is wrong with it, not only the first thing.</summary>
public sealed class AdapterFormatException : Exception
{
    /// <summary>Describes one problem of a file.</summary>
    /// <param name="path">The file or folder that was read.</param>
    /// <param name="problem">What is wrong with it.</param>
    /// <param name="innerException">The exception that brought the problem to light, if there was one.</param>
    public AdapterFormatException(string path, string problem, Exception? innerException = null)
        : this(path, [problem], innerException)
    {
    }

    /// <summary>Describes all problems of a file.</summary>
    /// <param name="path">The file or folder that was read.</param>
    /// <param name="problems">What is wrong with it, one entry for each problem.</param>
    /// <param name="innerException">The exception that brought the problems to light, if there was one.</param>
    /// <exception cref="ArgumentException"><paramref name="problems"/> is empty.</exception>
    public AdapterFormatException(string path, IEnumerable<string> problems, Exception? innerException = null)
        : this(path, [.. problems], innerException)
    {
    }

    private AdapterFormatException(string path, string[] problems, Exception? innerException)
        : base(Compose(path, problems), innerException)
    {
        Path = path;
        Problems = problems;
    }

    /// <summary>The file or folder that was read.</summary>
    public string Path { get; }

    /// <summary>What is wrong with it; at least one entry.</summary>
    public IReadOnlyList<string> Problems { get; }

    // A hostile file may have millions.
    private const int ProblemsInMessage = 1000;

    private static string Compose(string path, string[] problems) => problems.Length switch
    {
        0 => throw new ArgumentException("At least one problem must be given.", nameof(problems)),
        1 => $"{path}: {problems[0]}",
        _ => $"{path} has {problems.Length} problems:{string.Concat(problems.Take(ProblemsInMessage).Select(problem => $"\n  - {problem}"))}"
            + (problems.Length > ProblemsInMessage ? $"\n  - and {problems.Length - ProblemsInMessage} more" : ""),
    };
}
