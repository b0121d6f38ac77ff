using Lora.Serialization;

namespace Lora.Export;

/// <summary>The files of a model's folder beside its weights.</summary>
internal static class OtherFiles
{
    // Weights in other forms would be those of the unmerged model.
    private static readonly string[] _weights = [".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".h5", ".msgpack", ".onnx", ".onnx_data", ".ot", ".npz", ".index.json"];

    // Beside a whole model's weights it tells transformers to look for an adapter's.
    private const string AdapterConfig = PeftAdapterConfig.FileName;

    /// <summary>The files to copy and those to leave out, by their paths in the folder. Hidden files and folders are neither.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="own">The weights that are merged, which are neither.</param>
    internal static (IReadOnlyList<string> Copied, IReadOnlyList<string> LeftOut) Of(string folder, IReadOnlySet<string> own)
    {
        var options = new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.Hidden | FileAttributes.System };
        string[] all = [.. Directory.EnumerateFiles(folder, "*", options).Select(file => Path.GetRelativePath(folder, file)).Where(file => !own.Contains(file) && !file.Split(Path.DirectorySeparatorChar).Any(part => part.StartsWith('.'))).Order(StringComparer.Ordinal)];
        ILookup<bool, string> isLeftOut = all.ToLookup(file => Path.GetFileName(file) == AdapterConfig || Array.Exists(_weights, end => file.EndsWith(end, StringComparison.OrdinalIgnoreCase)));
        return ([.. isLeftOut[false]], [.. isLeftOut[true]]);
    }
}
