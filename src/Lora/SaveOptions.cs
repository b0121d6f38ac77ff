namespace Lora;

/// <summary>In which form <see cref="LoraModel{TModel}.Save"/> writes an adapter.</summary>
public sealed record SaveOptions
{
    /// <summary>
    /// Whether an adapter that starts from a part of the base weights (<see cref="AdapterInitialization.ChangesBase"/>) is written in PEFT's raw form: A and B alone, with the name of the
    /// initialisation, which whoever loads it repeats on the base to find the start. That takes half the space, and works only on weights that are the same to the last bit. Otherwise it is
    /// written as a plain adapter of twice the rank, [A; A₀] and [B, −B₀], as PEFT converts it.
    /// </summary>
    /// <value>False by default.</value>
    public bool KeepInitialization { get; init; }
}
