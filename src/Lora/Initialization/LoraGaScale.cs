namespace Lora.Initialization;

/// <summary>How large A and B are in <see cref="LoraGaInitialization"/>.</summary>
public enum LoraGaScale
{
    /// <summary>B times ⁴√out / √γ.</summary>
    Stable,

    /// <summary>B so that its largest singular value is the weight's. PEFT's <c>weight_svd</c>.</summary>
    Weight,

    /// <summary>A and B divided by the adapter's scale. PEFT's <c>gd_scale</c>.</summary>
    GradientDescent,

    /// <summary>As the singular vectors are. PEFT's <c>unit</c>.</summary>
    Unit,
}
