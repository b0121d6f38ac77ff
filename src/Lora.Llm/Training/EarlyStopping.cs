namespace Lora.Llm;

/// <summary>Ends a training whose held-out loss falls no more.</summary>
/// <param name="Patience">The number of evaluations in a row without progress after which it ends.</param>
/// <param name="MinDelta">By how much the loss has to be lower than the last progress to be progress itself, in the loss's own unit.</param>
public sealed record EarlyStopping(int Patience, double MinDelta = 0);
