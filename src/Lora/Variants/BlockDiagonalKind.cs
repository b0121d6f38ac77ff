using Lora.Initialization;
using Lora.Layers;

namespace Lora.Variants;

/// <summary>BD-LoRA, by <see cref="LoraConfig.BlockDiagonal"/>.</summary>
internal sealed class BlockDiagonalKind : LoraVariantKind
{
    internal static BlockDiagonalKind Instance { get; } = new();

    internal override string Title => "BD-LoRA";

    internal override string Setting => "use_bdlora";

    internal override string Unplaced => "a factor of blocks";

    internal override bool IsAskedFor(LoraConfig config) => config.BlockDiagonal is not null;

    internal override bool IsAskedFor(LoraConfig config, string path) => config.BlockDiagonal!.DownMatch(path) is not null || config.BlockDiagonal.UpMatch(path) is not null;

    // What looks at W, or makes A and B belong together, knows whole matrices.
    internal override IEnumerable<string> Contradictions(LoraConfig config)
    {
        if (config.Initialization is not (KaimingInitialization or TorchDefaultInitialization or GaussianInitialization) && !Uncombined(config).Any())
            yield return $"{Setting} goes with the initialisations Kaiming, Gaussian and TorchDefault only, but {config.Initialization.Name} is asked for.";
    }

    internal override IEnumerable<string> FileContradictions(LoraConfig config)
    {
        foreach (string problem in config.BlockDiagonal!.Problems()) yield return $"{Setting}: {problem}.";
        if (config.UseLoraBias && config.BlockDiagonal.UpModules.Count > 0) yield return $"{Setting} has target_modules_bd_b, which does not go with lora_bias: a block-diagonal B has no bias.";
        foreach (string problem in Uncombined(config)) yield return problem;
    }

    internal override IEnumerable<string> LayerProblems(LoraConfig config, string path, AdapterSettings settings, (long Out, long In)? matrix)
    {
        BlockDiagonalOptions options = config.BlockDiagonal!;
        (string? down, string? up) = (options.DownMatch(path), options.UpMatch(path));
        if (down is not null && up is not null) yield return $"contains '{down}' of target_modules_bd_a and '{up}' of target_modules_bd_b, but A and B cannot both be block-diagonal ({Setting})";
        if (down is null && up is null && options.IsStrict)
            yield return $"contains no name of target_modules_bd_a or target_modules_bd_b, and match_strict is true ({Setting}): add one, or set {nameof(BlockDiagonalOptions.IsStrict)} to false for plain LoRA there";
        if (down is null == up is null) yield break;
        if (settings.Rank % options.Blocks != 0) yield return $"has the rank {settings.Rank}, which nblocks {options.Blocks} does not divide ({Setting})";
        if (matrix is not var (outputs, inputs)) yield break;
        (string side, long width) = down is not null ? ("inputs", inputs) : ("outputs", outputs);
        if (width % options.Blocks != 0) yield return $"has {width} {side}, which nblocks {options.Blocks} does not divide ({Setting})";
    }

    internal override IEnumerable<string> Unused(LoraConfig config, IReadOnlyCollection<string> paths) => config.BlockDiagonal!.Unused(paths);

    internal override LoraVariant Create(LoraAdapter adapter, AdaptedWeight weight, AdapterSettings settings) => new BlockDiagonalVariant();
}
