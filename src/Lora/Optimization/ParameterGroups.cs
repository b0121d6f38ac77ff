using TorchSharp.Modules;

namespace Lora.Optimization;

/// <summary>Hands groups to TorchSharp's optimizers.</summary>
public static class ParameterGroups
{
    /// <summary>Gives the groups in the form of any optimizer.</summary>
    /// <typeparam name="TGroup">The optimizer's group.</typeparam>
    /// <param name="groups">The groups.</param>
    /// <param name="make">Makes one from parameters, learning rate and weight decay.</param>
    /// <returns>The optimizer's groups.</returns>
    /// <example><c>optim.RMSProp(lora.ParameterGroups(options).For((p, lr, decay) => new RMSProp.ParamGroup(p, lr, weight_decay: decay)))</c></example>
    public static IReadOnlyList<TGroup> For<TGroup>(this IEnumerable<ParameterGroup> groups, Func<IReadOnlyList<Parameter>, double, double, TGroup> make)
        where TGroup : ParamGroup
    {
        ArgumentNullException.ThrowIfNull(groups);
        ArgumentNullException.ThrowIfNull(make);
        return [.. groups.Select(group => make(group.Parameters, group.LearningRate, group.WeightDecay))];
    }

    /// <summary>Gives the groups for <see cref="AdamW"/>, whose weight decay is decoupled from the gradient.</summary>
    /// <param name="groups">The groups.</param>
    /// <param name="beta1">The decay of the mean of gradients.</param>
    /// <param name="beta2">The decay of the mean of their squares.</param>
    /// <param name="eps">What is added to the denominator.</param>
    /// <returns>The groups.</returns>
    public static IReadOnlyList<AdamW.ParamGroup> ForAdamW(this IEnumerable<ParameterGroup> groups, double beta1 = 0.9, double beta2 = 0.999, double eps = 1e-8) =>
        groups.For((parameters, rate, decay) => new AdamW.ParamGroup(parameters, rate, beta1, beta2, eps, decay));

    /// <summary>Gives the groups for <see cref="SGD"/>.</summary>
    /// <param name="groups">The groups.</param>
    /// <param name="momentum">The momentum.</param>
    /// <returns>The groups.</returns>
    public static IReadOnlyList<SGD.ParamGroup> ForSgd(this IEnumerable<ParameterGroup> groups, double momentum = 0) =>
        groups.For((parameters, rate, decay) => new SGD.ParamGroup(parameters, rate, momentum, weight_decay: decay));
}
