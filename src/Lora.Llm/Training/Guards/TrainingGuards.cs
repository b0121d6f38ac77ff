namespace Lora.Llm;

/// <summary>What a training watches for, and stops at with a <see cref="TrainingGuardException"/>.</summary>
[Flags]
public enum TrainingGuards
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>A loss or a norm of gradients that is infinite or not a number, also of the held-out examples; with a loss scale, gradients that overflow at many steps in a row.</summary>
    FiniteNumbers = 1,

    /// <summary>A first step at which the gradient of every B is zero (of every A, where no B trains), so that nothing is learned.</summary>
    Gradients = 2,

    /// <summary>A start at which A and B of every layer are zero, which stay so for ever: the gradient of each is zero while the other is.</summary>
    DeadStart = 4,

    /// <summary>A frozen weight that changes. Some numbers of each tensor are looked at after the first step, at every evaluation and before every checkpoint.</summary>
    FrozenWeights = 8,

    /// <summary>A step whose examples have nothing to learn, since all their labels are −100.</summary>
    LearnedTokens = 16,

    /// <summary>All of them.</summary>
    All = FiniteNumbers | Gradients | DeadStart | FrozenWeights | LearnedTokens,
}
