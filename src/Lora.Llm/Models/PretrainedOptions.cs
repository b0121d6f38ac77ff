using static TorchSharp.torch;

namespace Lora.Llm;

/// <summary>How a model is loaded.</summary>
public sealed record PretrainedOptions
{
    /// <summary>The type of the weights.</summary>
    /// <value>Null by default: that of most tensors of the file, whatever <c>dtype</c> or <c>torch_dtype</c> of <c>config.json</c> says.</value>
    public ScalarType? DataType { get; init; }

    /// <summary>Where the model lives.</summary>
    /// <value>Null by default: the CPU.</value>
    public Device? Device { get; init; }

    /// <summary>
    /// The names of the classes of a classifier's new head, in the order of its logits. The folder's own head, of whichever task, is not read then: this is how a
    /// classifier begins on a pretrained model. Train the new head with the adapter: <see cref="LoraConfig.TaskType"/> <c>SEQ_CLS</c> or <c>TOKEN_CLS</c> sees to it.
    /// </summary>
    /// <value>Null by default: the folder's own head and labels.</value>
    public IReadOnlyList<string>? Labels { get; init; }
}
