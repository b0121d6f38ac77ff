using TorchSharp.Modules;

namespace Lora.Optimization;

/// <summary>Parameters of an adapter that are trained alike.</summary>
/// <param name="Role">What they are.</param>
/// <param name="Parameters">The parameters.</param>
/// <param name="LearningRate">The learning rate.</param>
/// <param name="WeightDecay">The weight decay; 0 where there is none.</param>
public sealed record ParameterGroup(ParameterRole Role, IReadOnlyList<Parameter> Parameters, double LearningRate, double WeightDecay);
