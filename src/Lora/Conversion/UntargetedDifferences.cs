namespace Lora.Conversion;

/// <summary>What an extraction does with tensors that differ and belong to no target.</summary>
public enum UntargetedDifferences
{
    /// <summary>They are listed in the result. The adapter does not have them.</summary>
    List,

    /// <summary>One of them is an error, which lists all.</summary>
    Refuse,

    /// <summary>
    /// They are saved with the adapter: biases by <see cref="LoraConfig.Bias"/>, other tensors with the whole module that they belong to by <see cref="LoraConfig.ModulesToSave"/>. What
    /// neither can hold is an error.
    /// </summary>
    Save,
}
