using Lora.Injection;
using Lora.Serialization;
using static TorchSharp.torch;

namespace Lora.Conversion;

/// <summary>
/// Makes adapters of what full fine-tuning changed: of each target's ΔW = W_tuned − W_base the best approximation of a rank, U·S·Vᵀ cut off behind the largest singular values,
/// with B = U·S, A = Vᵀ and alpha = rank, so that the scale is 1.
/// </summary>
/// <remarks>
/// The result is a folder in PEFT's form, which <see cref="LoraModel.Load"/> and PEFT read. Layers that differ in rank stand in <c>rank_pattern</c> and <c>alpha_pattern</c>. The difference and
/// its decomposition are computed in float64, on the device of the base model; of checkpoints one tensor of each is in memory at a time, beside the factors that have been found.
/// </remarks>
public static class LoraExtraction
{
    /// <summary>Extracts an adapter from two checkpoints.</summary>
    /// <param name="basePath">The base: a <c>.safetensors</c> file, a <c>.safetensors.index.json</c>, or the folder of a model.</param>
    /// <param name="tunedPath">The tuned model likewise.</param>
    /// <param name="folder">Where the adapter is written. The folder is made when it does not exist, and the two files are replaced.</param>
    /// <param name="options">Which layers, and at which rank.</param>
    /// <param name="model">
    /// A model whose modules have the paths of the checkpoint's tensors and say what they are; its values do not matter. Without one, a matrix is a linear layer's weight or an embedding's
    /// (<see cref="ExtractionOptions.Embeddings"/>), and a tensor of three to five dimensions is a kernel of a convolution without groups.
    /// </param>
    /// <returns>The error of each layer, and whatever else differs.</returns>
    /// <exception cref="FileNotFoundException">A checkpoint is not there.</exception>
    /// <exception cref="AdapterFormatException">A checkpoint is damaged.</exception>
    /// <exception cref="ArgumentException">A setting is out of range or picks what cannot be adapted, or the models do not go together; every problem is listed, and nothing is written.</exception>
    /// <exception cref="IOException">A file cannot be read or written.</exception>
    public static ExtractionResult FromCheckpoints(string basePath, string tunedPath, string folder, ExtractionOptions options, nn.Module? model = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(basePath);
        ArgumentException.ThrowIfNullOrEmpty(tunedPath);
        ArgumentNullException.ThrowIfNull(options);
        using SafetensorsSource baseFile = SafetensorsSource.Open(basePath);
        using SafetensorsSource tunedFile = SafetensorsSource.Open(tunedPath);
        ModelTensors before = ModelTensors.Of("the base", baseFile);
        return Extract(before, ModelTensors.Of("the tuned model", tunedFile), folder, options, model, model is null ? new CheckpointLayouts(before, options, CheckpointLayouts.FamilyOf(basePath)) : new ModelLayouts(model));
    }

    /// <summary>Extracts an adapter from two models in memory, which are not changed.</summary>
    /// <param name="baseModel">The base, without adapters.</param>
    /// <param name="tunedModel">The tuned model, without adapters.</param>
    /// <param name="folder">Where the adapter is written. The folder is made when it does not exist, and the two files are replaced.</param>
    /// <param name="options">Which layers, and at which rank.</param>
    /// <returns>The error of each layer, and whatever else differs.</returns>
    /// <exception cref="ArgumentException">A setting is out of range or picks what cannot be adapted, or the models do not go together; every problem is listed, and nothing is written.</exception>
    /// <exception cref="InvalidOperationException">A model carries adapters: merge and unload them, so that its weights are those that it computes with.</exception>
    /// <exception cref="IOException">A file cannot be written.</exception>
    public static ExtractionResult FromModels(nn.Module baseModel, nn.Module tunedModel, string folder, ExtractionOptions options)
    {
        ArgumentNullException.ThrowIfNull(baseModel);
        ArgumentNullException.ThrowIfNull(tunedModel);
        ArgumentNullException.ThrowIfNull(options);
        InjectionPlan.ThrowIfAdapted(tunedModel);
        return Extract(ModelTensors.Of("the base", baseModel), ModelTensors.Of("the tuned model", tunedModel), folder, options, baseModel, new ModelLayouts(baseModel));
    }

    private static ExtractionResult Extract(ModelTensors before, ModelTensors after, string folder, ExtractionOptions options, nn.Module? model, LayoutRules rules)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (model is not null) InjectionPlan.ThrowIfAdapted(model);
        Extraction.ThrowIf([.. options.Problems()]);
        TargetChoice targets = TargetChoice.Of(before, after, rules, options);
        Extraction.ThrowIf(targets.Problems);
        return new Extraction(before, after, targets, options).Run(folder, model);
    }
}
