using Lora.Serialization;

namespace Lora.Export;

/// <summary>
/// Merges adapters into a checkpoint on disk, tensor by tensor: W' = W + s·B·A, rounded once to the type that W has. The model is never loaded; in memory are some rows of one tensor at a time and the
/// factors of its updates.
/// </summary>
/// <remarks>
/// <para>
/// Adapters are PEFT's: linear layers and Conv1D, embeddings, convolutions without groups, DoRA, rank-stabilised scales, patterns of ranks and alphas, <c>lora_bias</c>, <c>modules_to_save</c>, trained
/// biases and trained tokens. What files alone do not tell (<c>target_parameters</c>, MultiheadAttention) and what no weight can hold (groups, <c>layer_replication</c>, starts that were taken off the base) is refused by name.
/// </para>
/// <para>
/// Where an adapter changes the token embedding or the output head of a model in which they share one weight, and not the other, the head gets a weight of its own, and <c>config.json</c> says so.
/// </para>
/// <para>
/// The new folder appears under its name when it is complete. Until then its files lie beside it, in a folder with <c>.partial</c> behind the name; a run that was cut short is continued by running it
/// again: finished files are recognised by hashes of what they were made of and of what they hold.
/// </para>
/// </remarks>
public static class CheckpointMerge
{
    /// <summary>Merges.</summary>
    /// <param name="source">The model's folder in Hugging Face form: <c>model.safetensors</c>, or several files and <c>model.safetensors.index.json</c>.</param>
    /// <param name="adapters">The adapters' folders, in PEFT's form, one at least.</param>
    /// <param name="destination">The new folder, which must not exist, or be empty.</param>
    /// <param name="options">Null for the defaults.</param>
    /// <param name="progress">Told after each tensor, on the calling thread.</param>
    /// <param name="cancellationToken">Looked at before each tensor. What was finished stays, and is used by the next run.</param>
    /// <returns>What was changed by how much.</returns>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">A folder holds no weights.</exception>
    /// <exception cref="AdapterFormatException">A file is damaged, or an adapter does not fit the model or cannot be merged; everything is listed, and nothing is written.</exception>
    /// <exception cref="ArgumentException">A setting is out of range, no adapter is given, or the destination is inside the model's folder.</exception>
    /// <exception cref="IOException">The destination exists, is being written by another process, or cannot be written.</exception>
    /// <exception cref="InvalidOperationException">A result does not fit the type of its tensor.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static CheckpointMergeResult Run(
        string source, IEnumerable<string> adapters, string destination, CheckpointMergeOptions? options = null,
        IProgress<CheckpointMergeProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(source);
        ArgumentNullException.ThrowIfNull(adapters);
        ArgumentException.ThrowIfNullOrEmpty(destination);
        options ??= new CheckpointMergeOptions();
        options.Validate();
        string[] paths = [.. adapters];
        if (paths.Length == 0) throw new ArgumentException("At least one adapter is needed.", nameof(adapters));
        if (File.Exists(destination) || (Directory.Exists(destination) && Directory.EnumerateFileSystemEntries(destination).Any()))
            throw new IOException($"'{destination}' exists: give a new folder, or delete it first.");
        string target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(destination));
        // The files of the original are copied, and a folder cannot be copied into itself.
        if (target.StartsWith(Path.TrimEndingDirectorySeparator(Path.GetFullPath(source)) + Path.DirectorySeparatorChar, StringComparison.Ordinal))
            throw new ArgumentException($"'{destination}' is inside the model's folder '{source}': give a folder outside of it.", nameof(destination));
        var opened = new List<AdapterFolder>();
        try
        {
            foreach (string path in paths)
            {
                AdapterFolder.ThrowIfMissing(path);
                opened.Add(AdapterFolder.Open(path));
            }
            using BaseCheckpoint checkpoint = BaseCheckpoint.Open(source, options);
            return new MergeRun(checkpoint, opened, MergePlan.Of(checkpoint, opened), options).Write(target, progress, cancellationToken);
        }
        finally
        {
            opened.ForEach(folder => folder.Dispose());
        }
    }
}
