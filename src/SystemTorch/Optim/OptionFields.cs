namespace TorchSharp.Modules;

/// <summary>Options in a stream.</summary>
internal static class OptionFields
{
    internal static void Write(BinaryWriter writer, params ReadOnlySpan<double?> values)
    {
        foreach (double? value in values) writer.Write(value.GetValueOrDefault());
    }

    internal static void Write(BinaryWriter writer, params ReadOnlySpan<bool?> values)
    {
        foreach (bool? value in values) writer.Write(value.GetValueOrDefault());
    }
}
