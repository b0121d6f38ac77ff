namespace Lora.Serialization.Formats;

/// <summary>Opens files that were not made for this library.</summary>
internal static class ForeignFile
{
    private static readonly string[] _pickled = [".bin", ".pt", ".pth", ".ckpt"];

    /// <param name="path">The file.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="AdapterFormatException">It is a pickle, or no safetensors file.</exception>
    internal static SafetensorsFile Open(string path)
    {
        if (!File.Exists(path)) throw new FileNotFoundException($"There is no adapter file '{path}'.", path);
        if (_pickled.Contains(Path.GetExtension(path), StringComparer.OrdinalIgnoreCase))
            throw new AdapterFormatException(path, "it is a pickle, whose reading can run code: load it with torch and save its tensors with safetensors.torch.save_file");
        return SafetensorsFile.Open(path);
    }

    /// <summary>Opens a file and understands it; when that fails, it is closed.</summary>
    internal static SavedAdapter Open(string path, Func<SafetensorsFile, SavedAdapter> understand)
    {
        SafetensorsFile file = Open(path);
        SavedAdapter? understood = null;
        try
        {
            return understood = understand(file);
        }
        finally
        {
            if (understood is null) file.Dispose();
        }
    }
}
