namespace Lora.Serialization;

/// <summary>An adapter in a file, opened and understood but not read yet: its settings, and its tensors under PEFT's keys.</summary>
/// <param name="path">The file or folder, for messages.</param>
/// <param name="config">The settings.</param>
/// <param name="weights">The file with the tensors; it is closed with this.</param>
/// <param name="tensors">The tensors.</param>
internal sealed class SavedAdapter(string path, LoraConfig config, SafetensorsSource weights, IReadOnlyList<AdapterTensor> tensors) : IDisposable
{
    internal string Path { get; } = path;

    internal LoraConfig Config { get; } = config;

    internal IReadOnlyList<AdapterTensor> Tensors { get; } = tensors;

    /// <summary>PEFT's configuration as it is written; null for what is no file of PEFT's.</summary>
    internal PeftAdapterConfig? File { get; init; }

    /// <summary>The file's remarks on itself.</summary>
    internal IReadOnlyDictionary<string, string> Metadata { get; init; } = weights.Metadata;

    /// <summary>What was accepted though unusual.</summary>
    internal IReadOnlyList<string> Remarks { get; init; } = [];

    /// <summary>How a tensor with a key of PEFT's is called in files of this form, for messages.</summary>
    internal Func<string, string> NameOf { get; init; } = key => key;

    public void Dispose() => weights.Dispose();
}
