using static TorchSharp.torch;

namespace Lora.Llm.Loading;

/// <summary>What the loaders and the inputs of image classifiers have in common.</summary>
internal static class VisionLoader
{
    /// <summary>How the tensors of a folder become the parameters of an image classifier.</summary>
    /// <param name="body">The path of the model without its head.</param>
    /// <param name="bare">How a name begins in a folder of a model that was saved without a head, and so without that path.</param>
    /// <param name="names">All names of the folder.</param>
    /// <param name="options">With labels the head is not read.</param>
    /// <param name="initializerRange">The standard deviation of a fresh head.</param>
    /// <param name="rename">From the file's spelling to the model's.</param>
    internal static TensorRules Rules(string body, string bare, IReadOnlyList<string> names, PretrainedOptions? options, double initializerRange, Func<string, string>? rename = null)
    {
        bool isBare = names.Any(name => name.StartsWith(bare, StringComparison.Ordinal)), fresh = options?.Labels is not null;
        return new TensorRules
        {
            Rename = name => Spelled(isBare ? $"{body}.{name}" : name),
            // A ViT without a head was saved with a pooler, which classification has no use for.
            Ignored = name => Within(name, $"{body}.pooler"),
            Fresh = name => fresh && Within(name, "classifier"),
            InitializerRange = initializerRange,
            Hint = missing => missing.Any(name => Within(name, "classifier")) ? FreshHeads.Hint(typeof(ImageClassifier)) : null,
        };

        string Spelled(string name) => rename?.Invoke(name) ?? name;

        static bool Within(string name, string path) => name.StartsWith($"{path}.", StringComparison.Ordinal);
    }

    /// <summary>The images in the type of the weights, as transformers turns them.</summary>
    /// <exception cref="ArgumentException">They are no floating-point tensor <c>[batch, channels, height, width]</c>.</exception>
    internal static Tensor Checked(Tensor pixels, int channels, ScalarType type)
    {
        ArgumentNullException.ThrowIfNull(pixels);
        if (pixels.dim() != 4 || pixels.shape[1] != channels)
            throw new ArgumentException($"Pixel values must have the shape [batch, {channels}, height, width], but have [{string.Join(", ", pixels.shape)}].", nameof(pixels));
        if (!pixels.is_floating_point())
            throw new ArgumentException($"Pixel values must be of a floating-point type, scaled and normalised as the model was trained, but are {pixels.dtype}.", nameof(pixels));
        return pixels.to(type);
    }
}
