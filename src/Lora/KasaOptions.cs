using Lora.Variants;

namespace Lora;

/// <summary>The weights of KaSA's two regularisation terms, which <see cref="LoraModel{TModel}.KasaLoss"/> computes; see <see cref="KasaVariant"/>. PEFT calls it <c>kasa_config</c>.</summary>
public sealed record KasaOptions
{
    /// <summary>The weight β of the squared singular values, Σ d².</summary>
    /// <value>0.0001 by default, as in PEFT.</value>
    public double Beta { get; init; } = 1e-4;

    /// <summary>The weight γ of the distance from orthogonality, ‖BᵀB − I‖ + ‖AAᵀ − I‖ in Frobenius norms.</summary>
    /// <value>0.001 by default, as in PEFT.</value>
    public double Gamma { get; init; } = 1e-3;

    internal IEnumerable<string> Problems()
    {
        foreach ((string name, double value) in new[] { ("beta", Beta), ("gamma", Gamma) })
            if (!(value >= 0 && double.IsFinite(value))) yield return FormattableString.Invariant($"{name} must be a finite number that is not negative, but is {value}");
    }
}
