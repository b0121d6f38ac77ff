using Lora.Combining;
using static TorchSharp.torch;

namespace Lora.Conversion;

/// <summary>How <see cref="LoraExtraction"/> makes an adapter of the difference of two models.</summary>
public sealed record ExtractionOptions
{
    /// <summary>
    /// The modules whose weights' difference becomes an adapter: those that <see cref="LoraConfig.TargetModules"/> could name. <see cref="ModuleSelector.AllLinear"/> means every linear
    /// layer but the output head, which is what the model says (<see cref="IHasOutputHead"/>), or <c>lm_head</c> and <c>embed_out</c> where there are only files.
    /// </summary>
    /// <value><see cref="ModuleSelector.AllLinear"/> by default.</value>
    public ModuleSelector TargetModules { get; init; } = ModuleSelector.AllLinear;

    /// <summary>Modules that are left out although <see cref="TargetModules"/> picks them.</summary>
    /// <value>None by default.</value>
    public ModuleSelector? ExcludedModules { get; init; }

    /// <summary>The rank of each layer, or with <see cref="EnergyThreshold"/> the largest that one may get. No layer gets more than the smaller side of its weight.</summary>
    /// <value>None by default; this or <see cref="EnergyThreshold"/> must be set.</value>
    public int? Rank { get; init; }

    /// <summary>The part of Σσ², the squared Frobenius norm of ΔW, that must be kept, above 0 and at most 1: each layer gets the smallest rank that does, though no more than <see cref="Rank"/>.</summary>
    /// <value>None by default.</value>
    public double? EnergyThreshold { get; init; }

    /// <summary>
    /// How often a randomised decomposition is improved by the matrix and its transpose (Halko, Martinsson and Tropp 2011), in place of the exact one: much faster for large matrices and small ranks, and a
    /// little worse. It needs <see cref="Rank"/>; the numbers of the result are exact all the same.
    /// </summary>
    /// <value>Null by default: the exact decomposition. 4 is a good number where speed matters.</value>
    public int? RandomizedIterations { get; init; }

    /// <summary>What is done with tensors that differ and belong to no target, such as norms, biases and embeddings.</summary>
    /// <value><see cref="UntargetedDifferences.List"/> by default.</value>
    public UntargetedDifferences Untargeted { get; init; } = UntargetedDifferences.List;

    /// <summary>The type of A and B in the file.</summary>
    /// <value><see cref="ScalarType.Float32"/> by default.</value>
    public ScalarType DataType { get; init; } = ScalarType.Float32;

    /// <summary>Which modules of a checkpoint are embeddings. It is not asked for where a model says what its layers are.</summary>
    /// <value>Null by default: those whose names are usual for embeddings, such as <c>embed_tokens</c> and <c>wte</c>.</value>
    public ModuleSelector? Embeddings { get; init; }

    /// <summary>Which linear layers of a checkpoint store their weight as <c>[in, out]</c>, as Hugging Face's Conv1D does. It is not asked for where a model says what its layers are.</summary>
    /// <value>Null by default: those of <see cref="ModelFamily"/>.</value>
    public ModuleSelector? TransposedModules { get; init; }

    /// <summary>The family of a checkpoint in the words of Hugging Face's <c>model_type</c>, such as <c>gpt2</c>, from which it follows which weights are stored as <c>[in, out]</c>.</summary>
    /// <value>Null by default: what <c>config.json</c> in the folder of the base says.</value>
    public string? ModelFamily { get; init; }

    /// <summary>What the adapter's file says about its base; see <see cref="LoraConfig.BaseModelNameOrPath"/>.</summary>
    /// <value>None by default.</value>
    public string? BaseModelNameOrPath { get; init; }

    /// <summary>What the adapter's file says about its task; see <see cref="LoraConfig.TaskType"/>.</summary>
    /// <value>None by default.</value>
    public string? TaskType { get; init; }

    internal IEnumerable<string> Problems()
    {
        if (Rank is null && EnergyThreshold is null) yield return $"neither {nameof(Rank)} nor {nameof(EnergyThreshold)} is set: give one of them, or both";
        foreach (string problem in RankChoice.Problems(Rank, EnergyThreshold)) yield return problem;
        if (RandomizedIterations < 0) yield return $"{nameof(RandomizedIterations)} must be at least 0, but is {RandomizedIterations}";
        if (RandomizedIterations is not null && Rank is null) yield return $"{nameof(RandomizedIterations)} needs {nameof(Rank)}, up to which singular values are looked for";
        if (!Enum.IsDefined(Untargeted)) yield return $"{nameof(Untargeted)} must be List, Refuse or Save, but is {Untargeted}";
        if (DataType is not (ScalarType.Float16 or ScalarType.BFloat16 or ScalarType.Float32 or ScalarType.Float64)) yield return $"{nameof(DataType)} must be a floating-point type, but is {DataType}";
        if (ExcludedModules?.Equals(ModuleSelector.AllLinear) == true) yield return $"{nameof(ExcludedModules)} cannot be AllLinear: name the modules to leave out";
    }
}
