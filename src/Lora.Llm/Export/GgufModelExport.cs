using Lora.Export;
using Lora.Export.Gguf;
using Lora.Serialization;

namespace Lora.Llm.Export;

/// <summary>
/// Writes a model of a Hugging Face folder as one GGUF file for llama.cpp, with its tokenizer: Llama, Mistral, Qwen2, Qwen3 and GPT-2. Adapters are merged on the way. The model is never loaded: in
/// memory are some rows of a tensor at a time, or one tensor where the order of its rows changes.
/// </summary>
/// <remarks>
/// A tensor that adapters change is what <see cref="CheckpointMerge"/> would write, rounded to the checkpoint's type, and then to the file's. Llama's queries and keys have their rows in the order that
/// llama.cpp's rotary positions take (neighbours turned together). GPT-2's matrices are turned.
/// </remarks>
public static class GgufModelExport
{
    /// <summary>Writes the file.</summary>
    /// <param name="source">The model's folder in Hugging Face form.</param>
    /// <param name="destination">The file to write or replace.</param>
    /// <param name="options">Null for the defaults.</param>
    /// <param name="progress">Told after each tensor, on the calling thread.</param>
    /// <param name="cancellationToken">Looked at before each tensor.</param>
    /// <returns>What was written.</returns>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">The folder lacks its configuration, weights or tokenizer.</exception>
    /// <exception cref="AdapterFormatException">A file is damaged, the parts do not fit each other, or llama.cpp cannot compute what they describe; everything is listed, and nothing is written.</exception>
    /// <exception cref="InvalidDataException">The tokenizer's file is damaged.</exception>
    /// <exception cref="NotSupportedException">The tokenizer asks for something that is not known here.</exception>
    /// <exception cref="ArgumentException">The type of the options cannot be written.</exception>
    /// <exception cref="InvalidOperationException">A number does not fit its type.</exception>
    /// <exception cref="IOException">The file cannot be written; one that was there before is unchanged.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled; nothing is written.</exception>
    public static GgufExportResult Run(string source, string destination, GgufModelOptions? options = null, IProgress<GgufProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(source);
        ArgumentException.ThrowIfNullOrEmpty(destination);
        options ??= new GgufModelOptions();
        if (options.Type is GgufType asked && !asked.HasCodec()) throw new ArgumentException($"{nameof(GgufModelOptions.Type)} is {asked}, but models are written in F32, F16, BF16, Q8_0 and Q4_0.", nameof(options));
        GgufFamily family = GgufFamily.Open(source);
        var adapters = new List<AdapterFolder>();
        try
        {
            foreach (string path in options.Adapters) adapters.Add(Directory.Exists(path) ? AdapterFolder.Open(path) : throw new DirectoryNotFoundException($"There is no adapter folder '{path}'."));
            using BaseCheckpoint checkpoint = BaseCheckpoint.Open(source, new CheckpointMergeOptions());
            return Write(checkpoint, family, MergePlan.Of(checkpoint, adapters), destination, options, progress, cancellationToken);
        }
        finally
        {
            adapters.ForEach(adapter => adapter.Dispose());
        }
    }

    private static GgufExportResult Write(BaseCheckpoint checkpoint, GgufFamily family, MergePlan plan, string destination, GgufModelOptions options, IProgress<GgufProgress>? progress, CancellationToken cancellationToken)
    {
        bool isTied = family.IsTied && !plan.UntiesHead;
        IReadOnlyList<GgufModelPlan.Planned> planned = GgufModelPlan.Of(checkpoint, family, plan.Tensors, isTied);
        GgufType type = options.Type ?? OwnType(planned[0].Source.Entry.Type);
        var writer = new GgufWriter();
        writer.Add("general.architecture", family.Architecture);
        writer.Add("general.type", "model");
        writer.Add("general.name", options.Name ?? Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(checkpoint.Folder))));
        writer.Add("general.file_type", GgufFileType.NumberOf(type));
        if (GgufFileType.IsQuantized(type)) writer.Add("general.quantization_version", 2u);
        family.AddMetadata(writer);
        List<string> remarks = [.. family.Remarks];
        if (options.IncludeTokenizer) remarks.AddRange(GgufVocabulary.AddTo(writer, checkpoint.Folder, family));
        else writer.Add("tokenizer.ggml.model", "no_vocab");

        var written = new List<GgufExportedTensor>();
        var merged = new List<MergedTensor>();
        foreach (GgufModelPlan.Planned tensor in planned)
        {
            bool isHead = tensor.Place.Name == (isTied ? "token_embd" : "output");
            (GgufType own, string? remark) = tensor.IsBias || tensor.Place.StaysWide ? (GgufType.F32, null) : GgufFileType.Of(tensor.Name, tensor.Shape[^1], isHead, type);
            if (remark is not null) remarks.Add(remark);
            written.Add(new GgufExportedTensor(tensor.Name, own));
            writer.AddTensor(tensor.Name, tensor.Shape, own, sink =>
            {
                if (GgufNumbers.Write(checkpoint.Source, tensor.Source, tensor.Place, sink) is MergedTensor changed) merged.Add(changed);
            });
        }
        foreach ((string name, float[] values) in family.Extras)
        {
            written.Add(new GgufExportedTensor(name, GgufType.F32));
            writer.AddTensor(name, [values.Length], GgufType.F32, sink => sink(values));
        }
        writer.Save(destination, progress, cancellationToken);
        return new GgufExportResult(destination, written, merged, remarks);
    }

    private static GgufType OwnType(SafetensorsType type) => type switch
    {
        SafetensorsType.F16 => GgufType.F16,
        SafetensorsType.BF16 => GgufType.BF16,
        _ => GgufType.F32,
    };
}
