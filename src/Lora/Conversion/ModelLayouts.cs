using Lora.Injection;
using Lora.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Conversion;

/// <summary>What a model's modules say about their layouts.</summary>
internal sealed class ModelLayouts(nn.Module model) : LayoutRules
{
    private readonly Dictionary<string, nn.Module> _modules = ModuleWalker.Walk(model).ToDictionary(site => site.Path, site => site.Module, StringComparer.Ordinal);

    internal override IReadOnlyCollection<string> Paths => _modules.Keys;

    internal override bool IsHead(string path) => _modules.TryGetValue(path, out nn.Module? module) && ReferenceEquals((model as IHasOutputHead)?.OutputHead, module);

    internal override WeightLayout? Of(string path, IReadOnlyList<long> shape, out string problem)
    {
        problem = "is not in the model that says what the layers are";
        if (!_modules.TryGetValue(path, out nn.Module? module)) return null;
        problem = module is Convolution { groups: > 1 } grouped
            ? $"is a {module.GetType().Name} with {grouped.groups} groups, whose difference has a pair of factors for each of them, which one adapter cannot hold: leave it out of the targets"
            : $"is a {ModuleSlot.ReadableName(module.GetType())}, of which no adapter can be extracted: leave it out of the targets";
        return module switch
        {
            Linear => WeightLayout.Linear,
            TransposedLinear => WeightLayout.Transposed,
            Embedding => WeightLayout.Embedding,
            Conv1d { groups: 1 } or Conv2d { groups: 1 } or Conv3d { groups: 1 } => WeightLayout.Convolution,
            ConvolutionTranspose { groups: 1 } => WeightLayout.TransposedConvolution,
            _ => null,
        };
    }
}
