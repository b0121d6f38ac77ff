namespace Lora;

/// <summary>A model that knows its family. Where <see cref="LoraConfig.TargetModules"/> is not set, the layers that PEFT adapts in that family by default are adapted.</summary>
public interface IHasModelFamily
{
    /// <summary>The family in the words of Hugging Face's <c>model_type</c>, such as <c>llama</c>; null when it is none.</summary>
    string? ModelFamily { get; }
}
