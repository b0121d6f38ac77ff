using Lora.Injection;
using Lora.Layers;
using Lora.Parts;
using Lora.Targeting;
using static TorchSharp.torch;

namespace Lora;

public static partial class LoraModel
{
    /// <summary>Tells what <see cref="Wrap"/> would do with a model, or why it would refuse, and leaves the model as it is.</summary>
    /// <param name="model">The model; it may carry adapters.</param>
    /// <param name="config">Which layers, and which rank and scale.</param>
    /// <param name="options">How the layers would be attached; null for the defaults.</param>
    /// <returns>The layers with rank, scale and size, and every problem. Print it to read it.</returns>
    public static LoraExplanation Explain(nn.Module model, LoraConfig config, WrapOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(config);
        options ??= new WrapOptions();
        config = AdapterSource.Complete(config, model);
        string[] invalid = [.. config.Problems()];
        if (invalid.Length > 0) return new LoraExplanation([], [], invalid);
        string? unstackable = null;
        ILayerReplication? replication = null;
        if (!ModuleWalker.Walk(model).Any(site => site.Layer is not null)) replication = LayerStack.Replicate(model, config, out unstackable);
        if (unstackable is not null) return new LoraExplanation([], [], [unstackable]);
        using (replication)
        {
            InjectionPlan plan = InjectionPlan.Make(model, config, options);
            string[] problems = [.. plan.Problems, .. plan.UnmatchedNames.Except(plan.Problems), .. plan.UnusedPatterns];
            return new LoraExplanation([.. plan.Layers.Select(layer => Layer(layer, options))], [.. Parts(plan.Parts)], problems);
        }
    }

    private static ExplainedLayer Layer(PlannedLayer planned, WrapOptions options)
    {
        // A layer that is not put anywhere: what adapters it makes is for it to say.
        ILoraLayer layer = planned.Kind.Create(planned.Site.Module, ownsBase: false);
        try
        {
            using LoraAdapter adapter = layer.Create(options.AdapterName, planned.Settings with { Initialize = false });
            long parameters = adapter.FileTensors.Sum(tensor => tensor.Value.numel());
            long size = options.UpcastAdapters || planned.Site.Module.parameters().FirstOrDefault() is not { } weight ? adapter.A.element_size() : weight.element_size();
            bool swapped = planned.Site.Layer?.OwnsBase ?? planned.Slots is not null;
            return new ExplainedLayer(
                planned.Site.Path,
                planned.Site.Module.GetType().Name,
                layer.Signature,
                swapped ? AttachmentKind.Swapped : AttachmentKind.Hooked,
                planned.Settings.Rank,
                planned.Settings.Alpha,
                planned.Settings.Scale,
                parameters,
                parameters * size);
        }
        finally
        {
            layer.Release();
        }
    }

    private static IEnumerable<ExplainedPart> Parts(PartPlan parts) =>
    [
        .. Group("bias", parts.Biases),
        .. Group("modules_to_save", parts.Modules),
        .. parts.Tie is PlannedTie tie ? [new ExplainedPart("ensure_weight_tying", tie.HeadPath, 0, 0)] : Array.Empty<ExplainedPart>(),
        .. parts.Rows.Select(rows => new ExplainedPart("trainable_token_indices", rows.Path, rows.Elements, rows.Bytes)),
    ];

    private static IEnumerable<ExplainedPart> Group(string setting, IReadOnlyList<PlannedReplacement> replacements) => replacements
        .GroupBy(replacement => replacement.Path)
        .Select(group => new ExplainedPart(setting, group.Key, group.Sum(replacement => replacement.Elements), group.Sum(replacement => replacement.Bytes)));
}
