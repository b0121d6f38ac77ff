using Lora.Layers;

namespace Lora;

/// <summary>
/// Which adapters have a block-diagonal A or B (BD-LoRA), so that each of several devices that hold a layer's weight in shards needs its own block of the adapter alone. PEFT calls
/// it <c>use_bdlora</c>.
/// </summary>
/// <remarks>
/// Layers that are split by their inputs (an attention's output projection, an MLP's down projection) get a block-diagonal A, those that are split by their outputs (query, key, value, gate
/// and up projections) a block-diagonal B. The other factor is a whole one. With n blocks A is held as <c>[r, in / n]</c>, or B as <c>[out, r / n]</c>, the blocks one beneath the
/// other: rows i·r/n to (i+1)·r/n of A work on the inputs i·in/n to (i+1)·in/n alone. Files hold them so.
/// </remarks>
public sealed record BlockDiagonalOptions
{
    private readonly SettingList<string> _down = SettingList<string>.Empty;
    private readonly SettingList<string> _up = SettingList<string>.Empty;

    /// <summary>Parts of the paths of layers whose A is block-diagonal, such as <c>o_proj</c>: any path that contains one. PEFT calls it <c>target_modules_bd_a</c>.</summary>
    /// <value>Empty by default.</value>
    public IReadOnlyList<string> DownModules
    {
        get => _down;
        init => _down = SettingList<string>.Of(value);
    }

    /// <summary>Parts of the paths of layers whose B is block-diagonal, such as <c>q_proj</c>: any path that contains one. PEFT calls it <c>target_modules_bd_b</c>.</summary>
    /// <value>Empty by default.</value>
    public IReadOnlyList<string> UpModules
    {
        get => _up;
        init => _up = SettingList<string>.Of(value);
    }

    /// <summary>The number n of blocks, which divides the rank and the width that is split. PEFT calls it <c>nblocks</c>.</summary>
    /// <value>1 by default: one block, which is the whole matrix.</value>
    public int Blocks { get; init; } = 1;

    /// <summary>Whether every adapted layer must be in one of the two lists; otherwise those in neither get plain LoRA. PEFT calls it <c>match_strict</c>.</summary>
    /// <value>True by default.</value>
    public bool IsStrict { get; init; } = true;

    internal string? DownMatch(string path) => _down.FirstOrDefault(part => path.Contains(part, StringComparison.Ordinal));

    internal string? UpMatch(string path) => _up.FirstOrDefault(part => path.Contains(part, StringComparison.Ordinal));

    /// <summary>The settings of a layer with its numbers of blocks.</summary>
    internal AdapterSettings Apply(AdapterSettings settings, string path) =>
        settings with { HasDownBlocks = DownMatch(path) is not null, DownBlocks = DownMatch(path) is null ? 1 : Blocks, UpBlocks = UpMatch(path) is null ? 1 : Blocks };

    internal IEnumerable<string> Problems()
    {
        if (Blocks < 1) yield return $"nblocks must be at least 1, but is {Blocks}";
        foreach (string part in _down.Intersect(_up)) yield return $"'{part}' is in target_modules_bd_a and in target_modules_bd_b, but A and B cannot both be block-diagonal";
        if (_down.Concat(_up).Contains("")) yield return "target_modules_bd_a and target_modules_bd_b must hold no empty name";
        if (_down.Count + _up.Count == 0) yield return "target_modules_bd_a and target_modules_bd_b name no module";
    }

    /// <summary>Names that are part of no adapted layer's path, each in a sentence.</summary>
    internal IEnumerable<string> Unused(IReadOnlyCollection<string> paths)
    {
        foreach ((string list, SettingList<string> names) in new[] { ("target_modules_bd_a", _down), ("target_modules_bd_b", _up) })
            foreach (string name in names.Where(name => !paths.Any(path => path.Contains(name, StringComparison.Ordinal))))
                yield return $"{list} has '{name}', which is part of no adapted layer's path";
    }
}
