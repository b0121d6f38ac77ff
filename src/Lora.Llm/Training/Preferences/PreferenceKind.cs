namespace Lora.Llm;

/// <summary>How preferences are learned. h is by how much more than the base model the adapted one prefers the chosen answer: the difference of the log-probabilities' differences.</summary>
public enum PreferenceKind
{
    /// <summary>
    /// Direct preference optimization (Rafailov et al. 2023, arXiv:2305.18290, equation 7): −log σ(β·h). With <see cref="PreferenceOptions.LabelSmoothing"/> ε it is −(1 − ε)·log σ(β·h) − ε·log σ(−β·h).
    /// </summary>
    Sigmoid,

    /// <summary>Identity preference optimization (Azar et al. 2023, arXiv:2310.12036, equation 17): (h − 1 / (2·β))², with log-probabilities of whole answers as in the paper.</summary>
    Ipo,
}
