using Samples;

namespace Lora.Cli.Verbs;

/// <summary>One of the things that the tool does.</summary>
internal abstract class Verb
{
    internal abstract string Name { get; }

    /// <summary>What it does, in a line.</summary>
    internal abstract string Summary { get; }

    internal abstract string Usage { get; }

    /// <summary>The names of its options.</summary>
    internal abstract IReadOnlyList<string> Options { get; }

    /// <returns>The exit code.</returns>
    /// <exception cref="UsageException">The arguments are wrong.</exception>
    internal abstract int Run(CommandLine line, Terminal terminal, CancellationToken cancellationToken);

    private protected static string Required(CommandLine line, string name)
    {
        if (!line.Has(name)) throw new UsageException($"--{name} is needed.");
        return line.Text(name, "") is { Length: > 0 } text ? text : throw new UsageException($"--{name} is empty.");
    }

    private protected static void RequireNew(string folder)
    {
        if (File.Exists(folder) || (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any())) throw new IOException($"'{folder}' exists: give a new folder, or delete it first.");
    }
}
