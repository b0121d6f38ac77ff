using Lora.Layers;
using Lora.Optimization;
using TorchSharp.Modules;

namespace Lora;

public sealed partial class LoraModel<TModel>
{
    /// <summary>
    /// The parameters of all adapters that require gradients, in groups for an optimizer: A, B and embeddings each with their learning rate, and vectors without weight decay.
    /// Groups that would be empty are left out.
    /// </summary>
    /// <param name="options">Learning rates and weight decay; null for the defaults.</param>
    /// <returns>The groups. <see cref="Optimization.ParameterGroups"/> hands them to an optimizer: <c>optim.AdamW(lora.ParameterGroups(options).ForAdamW())</c>.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A setting is out of range.</exception>
    public IReadOnlyList<ParameterGroup> ParameterGroups(GroupOptions? options = null)
    {
        ThrowIfFinished();
        options ??= new GroupOptions();
        options.Validate();
        double up = options.LearningRate * options.UpRatio;
        (ParameterRole Role, double Rate, double Decay)[] groups =
        [
            (ParameterRole.Down, options.LearningRate, options.WeightDecay),
            (ParameterRole.Up, up, options.WeightDecay),
            (ParameterRole.Embedding, options.EmbeddingLearningRate ?? options.LearningRate, options.WeightDecay),
            (ParameterRole.Vector, up, 0),
            (ParameterRole.Full, options.LearningRate, options.WeightDecay),
        ];
        ILookup<ParameterRole, Parameter> parameters = Roles().Where(pair => pair.Parameter.requires_grad).ToLookup(pair => pair.Role, pair => pair.Parameter);
        return [.. groups.Where(group => parameters.Contains(group.Role)).Select(group => new ParameterGroup(group.Role, [.. parameters[group.Role]], group.Rate, group.Decay))];
    }

    /// <summary>The low-rank pairs of all adapters, for preconditioners of their gradients.</summary>
    /// <returns>A, B and the adapter's scale; moving the model makes new parameters.</returns>
    public IReadOnlyList<LoraAdapter> Pairs()
    {
        ThrowIfFinished();
        return [.. LoraLayers.SelectMany(layer => layer.Adapters).SelectMany(adapter => adapter.Parts)];
    }

    private IEnumerable<(ParameterRole Role, Parameter Parameter)> Roles() =>
    [
        .. Pairs().SelectMany(pair => pair.FileTensors.Select(tensor => (RoleOf(pair, tensor.Value), tensor.Value))),
        .. _parts.SelectMany(part => part.FileTensors).Select(tensor => (tensor.Value.dim() < 2 ? ParameterRole.Vector : ParameterRole.Full, tensor.Value)),
    ];

    private static ParameterRole RoleOf(LoraAdapter pair, Parameter parameter)
    {
        bool isDown = ReferenceEquals(parameter, pair.A);
        if (!isDown && !ReferenceEquals(parameter, pair.B)) return ParameterRole.Vector;
        if (pair is EmbeddingAdapter) return ParameterRole.Embedding;
        return isDown ? ParameterRole.Down : ParameterRole.Up;
    }
}
