using Lora.Optimization;
using static TorchSharp.torch;

namespace Lora.Llm.Training.Running;

/// <summary>The parameters that a training changes: those of the active adapters that require gradients.</summary>
internal static class TrainedGroups
{
    /// <exception cref="InvalidOperationException">There is nothing to train, or training would not reach it.</exception>
    internal static IReadOnlyList<ParameterGroup> Of<TModel>(LoraModel<TModel> lora, TrainingOptions options, string named)
        where TModel : CausalLanguageModel
    {
        if (!is_grad_enabled()) throw new InvalidOperationException("Gradients are switched off here, as by no_grad or inference_mode: train outside of it.");
        IReadOnlyList<ParameterGroup> all = lora.ParameterGroups(new GroupOptions { LearningRate = options.LearningRate, UpRatio = options.UpRatio, WeightDecay = options.WeightDecay });
        if (lora.ActiveAdapters.Count == 0)
            throw new InvalidOperationException($"No adapter is active, so training would reach none: make one active, of {string.Join(", ", lora.AdapterNames.Select(name => $"'{name}'").DefaultIfEmpty("none"))}.");
        // The others get no gradient, but weight decay would shrink them.
        HashSet<IntPtr> active = [.. lora.ActiveAdapters.SelectMany(lora.AdapterTensors).Select(tensor => tensor.Value.Handle)];
        ParameterGroup[] groups = [.. all.Select(group => group with { Parameters = [.. group.Parameters.Where(parameter => active.Contains(parameter.Handle))] }).Where(group => group.Parameters.Count > 0)];
        if (groups.Length == 0) throw new InvalidOperationException($"{named} has no parameter that requires gradients: call {nameof(LoraModel<TModel>.SetTrainable)}(true) first.");
        if (lora.IsMerged || lora.IsDisabled) throw new InvalidOperationException($"{named} is {(lora.IsMerged ? "merged" : "disabled")}, so training would not reach it.");
        return groups;
    }
}
