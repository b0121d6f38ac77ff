using System.Globalization;

namespace Lora.Targeting;

/// <summary>A module's path as the block that it is in, by the first number in the path, and what it is called there.</summary>
/// <param name="Block">What leads to the block with its number, such as <c>model.layers.3</c>; empty where the module is in none.</param>
/// <param name="Number">The block's number; null where the module is in none.</param>
/// <param name="Kind">The path within the block, such as <c>self_attn.q_proj</c>; the whole path where the module is in none.</param>
internal sealed record BlockPath(string Block, int? Number, string Kind)
{
    internal static BlockPath Of(string path)
    {
        string[] parts = path.Split('.');
        // A path that ends with its number is a block itself.
        for (int i = 0; i < parts.Length - 1; i++)
        {
            if (int.TryParse(parts[i], NumberStyles.None, CultureInfo.InvariantCulture, out int number))
                return new BlockPath(string.Join('.', parts[..(i + 1)]), number, string.Join('.', parts[(i + 1)..]));
        }
        return new BlockPath("", null, path);
    }
}
