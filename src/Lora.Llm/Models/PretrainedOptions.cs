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
}
