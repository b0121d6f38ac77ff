namespace Lora.Llm.Training.Checkpoints;

/// <summary>The folder that one training writes its checkpoints into. It is locked against other trainings while it is open.</summary>
internal sealed class CheckpointStore : IDisposable
{
    private const string LockName = ".lock";

    private readonly CheckpointOptions _options;
    private readonly Action<TrainingPhase, int> _enter;
    private readonly FileStream _lock;

    private CheckpointStore(CheckpointOptions options, Action<TrainingPhase, int> enter, FileStream locked) => (_options, _enter, _lock) = (options, enter, locked);

    /// <summary>Opens the folder and removes what an earlier training left half-written or half-deleted.</summary>
    /// <exception cref="IOException">Another training has it open, or it cannot be written.</exception>
    internal static CheckpointStore Open(CheckpointOptions options, Action<TrainingPhase, int> enter)
    {
        FileStream locked;
        try
        {
            Directory.CreateDirectory(options.Folder);
            locked = new FileStream(Path.Combine(options.Folder, LockName), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException exception)
        {
            throw new IOException($"The folder of checkpoints '{options.Folder}' is in use by another training, or cannot be written: give each training a folder of its own. ({exception.Message})", exception);
        }
        var store = new CheckpointStore(options, enter, locked);
        foreach (string left in Directory.GetDirectories(options.Folder, CheckpointFolder.TemporaryPrefix + "*")) Directory.Delete(left, recursive: true);
        return store;
    }

    /// <summary>Finds the checkpoint to go on from: the one that was asked for, or the newest that is whole; null to begin anew.</summary>
    /// <param name="remarks">Told of those that are not whole.</param>
    /// <exception cref="InvalidDataException">The one that was asked for is not whole.</exception>
    /// <exception cref="InvalidOperationException">There are checkpoints, and the training is not to go on from any; or there are some, and none is whole.</exception>
    internal (string Path, CheckpointRecord Record)? Find(List<string> remarks)
    {
        if (_options.ResumeFrom is string asked)
        {
            if (!Directory.Exists(asked)) throw new DirectoryNotFoundException($"There is no checkpoint '{asked}'.");
            return (asked, Whole(asked));
        }
        int[] steps = [.. CheckpointFolder.StepsIn(_options.Folder).Reverse()];
        if (!_options.Resume && steps.Length > 0)
        {
            throw new InvalidOperationException(
                $"'{_options.Folder}' holds checkpoints up to step {steps[0]}: set {nameof(CheckpointOptions)}.{nameof(CheckpointOptions.Resume)} to go on from them, delete them, or give another folder.");
        }
        var passed = new List<string>();
        foreach (int step in steps)
        {
            string path = PathOf(step);
            try
            {
                CheckpointRecord record = CheckpointFolder.Read(path);
                remarks.AddRange(passed);
                return (path, record);
            }
            catch (InvalidDataException exception)
            {
                passed.Add($"The checkpoint '{path}' is not whole and was passed over: {exception.Message}.");
            }
        }
        if (passed.Count == 0) return null;
        throw new InvalidOperationException(
            $"'{_options.Folder}' holds checkpoints, but none that is whole:{string.Concat(passed.Select(remark => $"\n  - {remark}"))}\nDelete them to begin anew, or give another folder.");
    }

    /// <summary>Reads a checkpoint that must be there and whole.</summary>
    internal CheckpointRecord Whole(int step) => Whole(PathOf(step));

    internal string PathOf(int step) => Path.Combine(_options.Folder, CheckpointFolder.NameOf(step));

    /// <summary>Writes a checkpoint, and then deletes those that are kept no longer.</summary>
    /// <param name="step">The step.</param>
    /// <param name="best">The step whose checkpoint is kept in any case, or null.</param>
    /// <param name="write">Each writes some files into the folder that it is given.</param>
    /// <param name="describe">Makes the record from the hashes of the files.</param>
    internal void Save(int step, int? best, IEnumerable<Action<string>> write, Func<IReadOnlyDictionary<string, string>, CheckpointRecord> describe)
    {
        string temporary = Temporary(step);
        bool whole = false;
        try
        {
            Directory.CreateDirectory(temporary);
            foreach (Action<string> part in write)
            {
                part(temporary);
                _enter(TrainingPhase.FileWritten, step);
            }
            // Last: without it, nothing in the folder counts.
            describe(CheckpointFolder.Hashes(temporary)).Write(Path.Combine(temporary, CheckpointRecord.FileName));
            whole = true;
        }
        finally
        {
            // On a full disk what was half written would take the room that others need.
            if (!whole) Remove(temporary);
        }
        _enter(TrainingPhase.FileWritten, step);
        _enter(TrainingPhase.BeforeMove, step);
        if (Directory.Exists(PathOf(step))) Delete(step);
        Directory.Move(temporary, PathOf(step));
        _enter(TrainingPhase.AfterMove, step);

        int[] last = [.. CheckpointFolder.StepsIn(_options.Folder).Where(other => other <= step).TakeLast(_options.KeepLast)];
        // Later ones than this are of a training that went further, and will be replaced when this one comes there.
        foreach (int old in CheckpointFolder.StepsIn(_options.Folder).Where(other => other < last[0] && !(_options.KeepBest && other == best))) Delete(old);
    }

    public void Dispose() => _lock.Dispose();

    // By its name first, so that what is only half deleted is no checkpoint.
    private void Delete(int step)
    {
        string temporary = Temporary(step);
        Directory.Move(PathOf(step), temporary);
        _enter(TrainingPhase.Pruning, step);
        Directory.Delete(temporary, recursive: true);
    }

    // What cannot be removed now is removed at the next start; the error that led here says more.
    private static void Remove(string temporary)
    {
        try
        {
            if (Directory.Exists(temporary)) Directory.Delete(temporary, recursive: true);
        }
        catch (IOException)
        {
        }
        catch (UnauthorizedAccessException)
        {
        }
    }

    private string Temporary(int step) => Path.Combine(_options.Folder, $"{CheckpointFolder.TemporaryPrefix}{CheckpointFolder.NameOf(step)}-{Guid.NewGuid():N}");

    private static CheckpointRecord Whole(string path)
    {
        try
        {
            return CheckpointFolder.Read(path);
        }
        catch (InvalidDataException exception)
        {
            throw new InvalidDataException($"The checkpoint '{path}' is not whole: {exception.Message}.", exception);
        }
    }
}
