using Lora.Export.Gguf;
using Lora.Serialization;

namespace Lora.Llm.Export;

/// <summary>
/// Writes an adapter as a GGUF file that llama.cpp applies beside the base model: of Llama, Mistral, Qwen2, Qwen3 and GPT-2.
/// </summary>
/// <remarks>
/// <para>
/// llama.cpp's scale of a layer is the user's scale · alpha / r, with one alpha for the whole file, and the user's scale alone where alpha is 0. The alpha of the file is s·r, so that rank-stabilised scales are
/// right; where layers differ in it (<c>rank_pattern</c>, <c>alpha_pattern</c>), it is that of most layers, and the B of the others is multiplied with what is left.
/// </para>
/// <para>The rows of B of Llama's queries and keys have the order of the rows of the base's. The A of a token embedding is turned, since llama.cpp picks its rows.</para>
/// <para>Activated LoRA's invocation tokens are written. What the format cannot carry is refused with the reason: DoRA, BD-LoRA, KaSA, biases, whole weights, trained tokens, layers that share a weight with another.</para>
/// </remarks>
public static class GgufAdapterExport
{
    // Below this B is not touched: multiplying with it would change the last bits for nothing.
    private const double NoDifference = 1.0 / (1 << 24);

    /// <summary>Writes the file.</summary>
    /// <param name="adapter">The adapter's folder in PEFT's form.</param>
    /// <param name="baseModel">The folder of the base model in Hugging Face form; its <c>config.json</c> is needed. Its weights are looked at where the adapter's file has copies of the embedding or the head.</param>
    /// <param name="destination">The file to write or replace.</param>
    /// <param name="options">Null for the defaults.</param>
    /// <param name="progress">Told after each tensor, on the calling thread.</param>
    /// <param name="cancellationToken">Looked at before each tensor.</param>
    /// <returns>What was written.</returns>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="FileNotFoundException">The base has no configuration.</exception>
    /// <exception cref="AdapterFormatException">A file is damaged, the adapter does not fit the base, or has what the format cannot carry; everything is listed, and nothing is written.</exception>
    /// <exception cref="ArgumentException">The type of the options cannot be written.</exception>
    /// <exception cref="InvalidOperationException">A number does not fit its type.</exception>
    /// <exception cref="IOException">The file cannot be written; one that was there before is unchanged.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled; nothing is written.</exception>
    public static GgufExportResult Run(
        string adapter, string baseModel, string destination, GgufAdapterOptions? options = null, IProgress<GgufProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(adapter);
        ArgumentException.ThrowIfNullOrEmpty(baseModel);
        ArgumentException.ThrowIfNullOrEmpty(destination);
        options ??= new GgufAdapterOptions();
        if (options.Type is not (GgufType.F32 or GgufType.F16 or GgufType.BF16 or GgufType.Q80))
            throw new ArgumentException($"{nameof(GgufAdapterOptions.Type)} is {options.Type}, but adapters are written in F32, F16, BF16 and Q8_0.", nameof(options));
        if (!Directory.Exists(adapter)) throw new DirectoryNotFoundException($"There is no adapter folder '{adapter}'.");
        using AdapterFolder folder = AdapterFolder.Open(adapter);
        GgufFamily family = GgufFamily.Open(baseModel);
        using SafetensorsSource? weights = GgufBaseCopies.Open(baseModel);
        var copies = new GgufBaseCopies(family, weights);
        IReadOnlyList<GgufAdapterLayer> layers = GgufAdapterPlan.Of(folder, family, copies);
        float alpha = AlphaOf(layers);

        var writer = new GgufWriter();
        writer.Add("general.architecture", family.Architecture);
        writer.Add("general.type", "adapter");
        writer.Add("general.name", options.Name ?? Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(adapter))));
        writer.Add("general.file_type", GgufFileType.NumberOf(options.Type));
        if (GgufFileType.IsQuantized(options.Type)) writer.Add("general.quantization_version", 2u);
        writer.Add("adapter.type", "lora");
        writer.Add("adapter.lora.alpha", alpha);
        if (folder.Config.InvocationTokens is { Count: > 0 } tokens) writer.Add("adapter.alora.invocation_tokens", tokens.Select(token => (uint)token).ToArray());

        var written = new List<GgufExportedTensor>();
        List<string> remarks = copies.Remarks;
        void Add(string name, IReadOnlyList<long> shape, Action<GgufWriter.NumberSink> write)
        {
            (GgufType type, string? remark) = GgufFileType.Of(name, shape[^1], isHead: false, options.Type);
            if (remark is not null) remarks.Add(remark);
            written.Add(new GgufExportedTensor(name, type));
            writer.AddTensor(name, shape, type, write);
        }
        foreach (GgufAdapterLayer layer in layers)
        {
            double factor = layer.Alpha / alpha;
            Add(layer.DownName, layer.DownShape, sink => layer.WriteDown(folder.Weights, sink));
            Add(layer.UpName, [.. layer.Up.Shape], sink => layer.WriteUp(folder.Weights, Math.Abs(factor - 1) < NoDifference ? 1 : factor, sink));
        }
        writer.Save(destination, progress, cancellationToken);
        return new GgufExportResult(destination, written, [], remarks);
    }

    // 0 would mean that there is no alpha; then B is all zeros.
    private static float AlphaOf(IReadOnlyList<GgufAdapterLayer> layers) => layers
        .Select(layer => (float)layer.Alpha).Where(alpha => alpha != 0 && float.IsFinite(alpha))
        .GroupBy(alpha => alpha).OrderByDescending(group => group.Count()).Select(group => group.Key).FirstOrDefault(1);
}
