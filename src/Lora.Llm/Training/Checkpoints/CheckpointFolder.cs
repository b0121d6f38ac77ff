using System.Globalization;
using System.Security.Cryptography;

namespace Lora.Llm.Training.Checkpoints;

/// <summary>The names and the contents of folders of checkpoints.</summary>
internal static class CheckpointFolder
{
    internal const string TensorsName = "optimizer.safetensors";

    /// <summary>What is being written, or about to be deleted, begins so; it is removed at the next start.</summary>
    internal const string TemporaryPrefix = ".tmp-";

    private const string Prefix = "step-";

    internal static string NameOf(int step) => string.Create(CultureInfo.InvariantCulture, $"{Prefix}{step}");

    /// <summary>The step that a folder is named by, or null.</summary>
    internal static int? StepOf(string path) =>
        Path.GetFileName(Path.TrimEndingDirectorySeparator(path)) is string name && name.StartsWith(Prefix, StringComparison.Ordinal)
        && int.TryParse(name.AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int step) && NameOf(step) == name
            ? step
            : null;

    /// <summary>The steps of the checkpoints in a folder, in order.</summary>
    internal static IReadOnlyList<int> StepsIn(string folder) =>
        Directory.Exists(folder) ? [.. Directory.EnumerateDirectories(folder).Select(StepOf).OfType<int>().Order()] : [];

    /// <summary>The hashes of all files of a folder but <c>training.json</c>, by their paths with slashes.</summary>
    internal static SortedDictionary<string, string> Hashes(string folder) => new(
        Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories)
            .Select(file => (File: file, Name: Path.GetRelativePath(folder, file).Replace(Path.DirectorySeparatorChar, '/')))
            .Where(file => file.Name != CheckpointRecord.FileName)
            .ToDictionary(file => file.Name, file => Hash(file.File)), StringComparer.Ordinal);

    /// <summary>Reads <c>training.json</c> and checks all other files.</summary>
    /// <exception cref="InvalidDataException">The checkpoint is not whole; the message says in what way.</exception>
    internal static CheckpointRecord Read(string folder)
    {
        if (!File.Exists(Path.Combine(folder, CheckpointRecord.FileName))) throw new InvalidDataException($"{CheckpointRecord.FileName} is missing");
        CheckpointRecord record = CheckpointRecord.Read(Path.Combine(folder, CheckpointRecord.FileName));
        string[] problems =
        [
            .. record.Files.Select(file => !File.Exists(Path.Combine(folder, file.Key)) ? $"{file.Key} is missing"
                : Hash(Path.Combine(folder, file.Key)) != file.Value ? $"{file.Key} holds other bytes than were written" : null).OfType<string>(),
        ];
        if (problems.Length > 0) throw new InvalidDataException(string.Join("; ", problems));
        if (StepOf(folder) is int step && step != record.State.Step) throw new InvalidDataException($"it is that of step {record.State.Step}");
        return record;
    }

    private static string Hash(string path)
    {
        using FileStream stream = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }
}
