using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Lora.Serialization;

namespace Lora.Export;

/// <summary>Writes a merged checkpoint file by file.</summary>
internal sealed class MergeRun(BaseCheckpoint checkpoint, IReadOnlyList<AdapterFolder> adapters, MergePlan plan, CheckpointMergeOptions options)
{
    private const string IndexName = "model.safetensors.index.json";
    private const string LockName = "merge.lock";
    private readonly List<MergedTensor> _merged = [];
    private IProgress<CheckpointMergeProgress>? _progress;
    private CancellationToken _cancellation;
    private int _tensorsDone;
    private long _bytesDone;

    internal CheckpointMergeResult Write(string destination, IProgress<CheckpointMergeProgress>? progress, CancellationToken cancellationToken)
    {
        (_progress, _cancellation) = (progress, cancellationToken);
        IReadOnlyList<PlannedShard> shards = PlannedShard.Of(checkpoint.Source, plan.Tensors, options.MaxShardBytes);
        string partial = destination + ".partial";
        Directory.CreateDirectory(partial);
        int reused = 0;
        IReadOnlyList<string> leftOut;
        using (Lock(partial))
        {
            string inputs = InputsHash(shards);
            MergeManifest manifest = MergeManifest.Load(partial, inputs);
            foreach (PlannedShard shard in shards)
            {
                if (IsFinished(partial, shard, manifest)) reused++;
                else WriteShard(partial, shard, manifest);
            }
            leftOut = CopyOthers(partial, shards);
            WriteIndex(partial, shards);
            RemoveOthers(partial, shards, leftOut);
        }
        if (Directory.Exists(destination)) Directory.Delete(destination); // It is empty.
        Directory.Move(partial, destination);
        return new CheckpointMergeResult(destination, _merged, [.. shards.Select(shard => shard.FileName)], reused, leftOut, plan.UntiesHead);
    }

    private static FileStream Lock(string partial)
    {
        string path = Path.Combine(partial, LockName);
        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
        }
        catch (IOException exception) when (File.Exists(path))
        {
            throw new IOException($"'{partial}' is being written by another process.", exception);
        }
    }

    private string InputsHash(IReadOnlyList<PlannedShard> shards)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (AdapterFolder adapter in adapters)
        {
            foreach (string name in (string[])[PeftAdapterConfig.FileName, AdapterFolder.WeightsName])
            {
                using FileStream file = File.OpenRead(Path.Combine(adapter.Path, name));
                hash.AppendData(SHA256.HashData(file));
            }
        }
        // How names and layouts are understood, and where files are cut.
        foreach (PlannedShard shard in shards)
            hash.AppendData(Encoding.UTF8.GetBytes($"{shard.FileName}\n{string.Join('\n', shard.Tensors.Select(Describe))}\n"));
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static string Describe(PlannedTensor tensor)
    {
        IEnumerable<string> updates = tensor.Updates.Select(update => $"{update.Left} {update.Right} {update.Kind} {update.Scale:R}");
        return $"{tensor.Name} {tensor.Entry.Name} {string.Join(' ', updates)} {tensor.Replacement?.Name} {string.Join(' ', tensor.Rows.Select(rows => rows.Name))}";
    }

    private bool IsFinished(string partial, PlannedShard shard, MergeManifest manifest)
    {
        string path = Path.Combine(partial, shard.FileName);
        if (!manifest.Files.TryGetValue(shard.FileName, out FinishedShard? finished) || !File.Exists(path)) return false;
        _cancellation.ThrowIfCancellationRequested();
        using (FileStream file = File.OpenRead(path))
        {
            if (Convert.ToHexStringLower(SHA256.HashData(file)) != finished.Result) return false;
        }
        using var source = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (PlannedTensor tensor in shard.Tensors) TensorMerger.Hash(source, checkpoint.Source, tensor);
        if (Convert.ToHexStringLower(source.GetHashAndReset()) != finished.Source) return false;
        _merged.AddRange(finished.Tensors);
        foreach (PlannedTensor tensor in shard.Tensors) Count(tensor);
        Report(shard.FileName);
        return true;
    }

    private void WriteShard(string partial, PlannedShard shard, MergeManifest manifest)
    {
        using var source = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using var result = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (PlannedTensor tensor in shard.Tensors) TensorMerger.Hash(source, checkpoint.Source, tensor);
        IReadOnlyList<SafetensorsEntry> entries = SafetensorsLayout.Place(shard.Tensors.Select(tensor => (tensor.Name, tensor.Entry.Type, tensor.Entry.Shape, tensor.Entry.ByteCount)));
        Dictionary<string, PlannedTensor> byName = shard.Tensors.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        var merged = new List<MergedTensor>();
        AtomicFile.Write(Path.Combine(partial, shard.FileName), stream =>
        {
            void Emit(ReadOnlySpan<byte> bytes)
            {
                result.AppendData(bytes);
                stream.Write(bytes);
            }
            byte[] header = SafetensorsLayout.Header(shard.Metadata, entries);
            Emit(BitConverter.IsLittleEndian ? BitConverter.GetBytes((long)header.Length) : [.. BitConverter.GetBytes((long)header.Length).Reverse()]);
            Emit(header);
            var merger = new TensorMerger(checkpoint.Source, Emit);
            foreach (SafetensorsEntry entry in entries)
            {
                _cancellation.ThrowIfCancellationRequested();
                PlannedTensor tensor = byName[entry.Name];
                if (tensor.Changes) merged.Add(merger.Merge(tensor));
                else merger.Copy(tensor.Entry);
                Count(tensor);
                Report(tensor.Name);
            }
        });
        _merged.AddRange(merged);
        manifest.Files[shard.FileName] = new FinishedShard(Convert.ToHexStringLower(source.GetHashAndReset()), Convert.ToHexStringLower(result.GetHashAndReset()), merged);
        manifest.Save(partial);
    }

    private IReadOnlyList<string> CopyOthers(string partial, IReadOnlyList<PlannedShard> shards)
    {
        string folder = checkpoint.Folder;
        var own = checkpoint.Source is SafetensorsFolder source
            ? checkpoint.Source.Entries.Select(entry => Path.GetFileName(source.OwnerOf(entry.Name).Path)).Append(IndexName).ToHashSet(StringComparer.Ordinal)
            : new HashSet<string>(StringComparer.Ordinal) { PlannedShard.SingleName };
        (IReadOnlyList<string> copied, IReadOnlyList<string> leftOut) = OtherFiles.Of(folder, own);
        foreach (string file in copied)
        {
            _cancellation.ThrowIfCancellationRequested();
            string target = Path.Combine(partial, file);
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            if (file == "config.json" && plan.UntiesHead) AtomicFile.Write(target, stream => stream.Write(UntiedConfig()));
            else File.Copy(Path.Combine(folder, file), target, overwrite: true);
        }
        return leftOut;
    }

    private byte[] UntiedConfig()
    {
        var fields = new OrderedDictionary<string, JsonElement>(checkpoint.Config!.RootElement.EnumerateObject().Select(field => KeyValuePair.Create(field.Name, field.Value)), StringComparer.Ordinal);
        fields["tie_word_embeddings"] = PythonJson.Parse("false");
        return Encoding.ASCII.GetBytes(PythonJson.Format(fields) + "\n");
    }

    private void WriteIndex(string partial, IReadOnlyList<PlannedShard> shards)
    {
        string target = Path.Combine(partial, IndexName), original = Path.Combine(checkpoint.Folder, IndexName);
        if (checkpoint.Source is SafetensorsFolder && options.MaxShardBytes is null && (!plan.UntiesHead || checkpoint.HasHead)) File.Copy(original, target, overwrite: true);
        else if (shards.Count > 1 || shards[0].FileName != PlannedShard.SingleName)
        {
            string map = PythonJson.Object(shards.SelectMany(shard => shard.Tensors.Select(tensor => $"{PythonJson.Quote(tensor.Name)}:{PythonJson.Quote(shard.FileName)}")));
            var fields = new Dictionary<string, JsonElement> { ["metadata"] = PythonJson.Parse($"{{\"total_size\":{plan.Tensors.Sum(tensor => tensor.Entry.ByteCount)}}}"), ["weight_map"] = PythonJson.Parse(map) };
            AtomicFile.Write(target, stream => stream.Write(Encoding.ASCII.GetBytes(PythonJson.Format(fields) + "\n")));
        }
    }

    // What an earlier run with other settings has left, and the notes of this one.
    private void RemoveOthers(string partial, IReadOnlyList<PlannedShard> shards, IReadOnlyList<string> leftOut)
    {
        HashSet<string> wanted = [.. shards.Select(shard => shard.FileName), LockName];
        if (shards.Count > 1 || shards[0].FileName != PlannedShard.SingleName) wanted.Add(IndexName);
        (IReadOnlyList<string> copied, _) = OtherFiles.Of(checkpoint.Folder, leftOut.ToHashSet(StringComparer.Ordinal));
        wanted.UnionWith(copied);
        foreach (string file in Directory.EnumerateFiles(partial, "*", SearchOption.AllDirectories).Where(file => !wanted.Contains(Path.GetRelativePath(partial, file)))) File.Delete(file);
    }

    private void Count(PlannedTensor tensor)
    {
        _tensorsDone++;
        _bytesDone += tensor.Entry.ByteCount;
    }

    private void Report(string name) => _progress?.Report(new CheckpointMergeProgress(name, _tensorsDone, plan.Tensors.Count, _bytesDone, plan.Tensors.Sum(tensor => tensor.Entry.ByteCount)));
}
