using Lora.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Training.Guards;

/// <summary>Looks at the pairs A, B that train: whether they can learn anything at all.</summary>
internal static class StartGuard
{
    /// <summary>Refuses a start at which all A and all B are zero.</summary>
    internal static void ThrowIfDead(IReadOnlyList<LoraAdapter> pairs, string named)
    {
        using var noGrad = no_grad();
        // What a variant adds, such as DoRA's magnitude, may learn all the same.
        if (pairs.Count == 0 || pairs.Any(pair => pair.Variant is not null || !IsZero(pair.A) || !IsZero(pair.B))) return;
        throw new TrainingGuardException(TrainingGuards.DeadStart, 0,
            $"{named} cannot learn: A and B are zero in all {pairs.Count} pairs, and the gradient of each is zero while the other is. Start A at random, as every initialisation does, or load an adapter that has been trained.");
    }

    /// <summary>Refuses to go on where the first step's gradients teach nothing.</summary>
    internal static void ThrowIfNothingLearns(IReadOnlyList<LoraAdapter> pairs, string named)
    {
        bool up = pairs.Any(pair => pair.B.requires_grad);
        Tensor[] trained = [.. pairs.Select(pair => up ? pair.B : pair.A).Where(parameter => parameter.requires_grad)];
        if (trained.Length == 0 || trained.Any(HasGradient)) return;
        throw new TrainingGuardException(TrainingGuards.Gradients, 1,
            $"{named} learns nothing: at the first step the gradient of {(up ? "B" : "A")} is zero in all {trained.Length} pairs. Likely causes: {(up ? "A is zero" : "B is zero")}, the dropout is 1, "
            + "no adapted layer reaches the loss (the targets are not those that the model uses), or the model computes under no_grad or detaches what it computes.");
    }

    private static bool HasGradient(Tensor parameter)
    {
        using Tensor? gradient = parameter.grad;
        return gradient is not null && !IsZero(gradient);
    }

    private static bool IsZero(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        return tensor.detach().count_nonzero().ToInt64() == 0;
    }
}
