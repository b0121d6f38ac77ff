using Lora.Serialization;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Initialization;

/// <summary>
/// LoRA-GA: A and B from singular vectors of the gradient of the loss by W, so that the first steps go where full fine-tuning would go (Wang, Yu and Li 2024, "LoRA-GA:
/// Low-Rank Adaptation with Gradient Approximation"). B's vectors are multiplied by their singular values, as in PEFT.
/// </summary>
/// <remarks>Each <see cref="CalibrationPass"/> computes a loss and calls <c>backward</c>; gradients reach the weights of the targeted layers only, and are averaged.</remarks>
public sealed record LoraGaInitialization : CalibratedInitialization
{
    // As PEFT has it.
    private const int Iterations = 4;

    /// <summary>Which singular vectors go where.</summary>
    /// <value><see cref="LoraGaDirection.ArB2r"/> by default.</value>
    public LoraGaDirection Direction { get; init; }

    /// <summary>How large A and B are.</summary>
    /// <value><see cref="LoraGaScale.Stable"/> by default.</value>
    public LoraGaScale Scale { get; init; }

    /// <summary>The γ of <see cref="LoraGaScale.Stable"/>.</summary>
    /// <value>16 by default.</value>
    public double StableGamma { get; init; } = 16;

    /// <summary>Where the random numbers of the decomposition start, so that it can be repeated.</summary>
    /// <value>0 by default.</value>
    public long Seed { get; init; }

    // What a later PEFT may have beside these: kept for the file.
    internal SettingList<string> Further { get; init; } = SettingList<string>.Empty;

    /// <inheritdoc/>
    public override bool ChangesBase => true;

    internal override string PeftName => "lora_ga";

    internal override bool NeedsGradients => true;

    internal override IEnumerable<KeyValuePair<string, string>> Fields =>
    [
        new("init_lora_weights", "\"lora_ga\""),
        new("lora_ga_config", PythonJson.Object(
        [
            $"\"direction\":\"{LoraGaNames.Of(Direction)}\"", $"\"scale\":\"{LoraGaNames.Of(Scale)}\"", $"\"stable_gamma\":{PythonJson.Number(StableGamma)}", .. Further,
        ])),
    ];

    /// <inheritdoc/>
    protected internal override string? Obstacle(AdapterShape shape) => base.Obstacle(shape)
        ?? (StableGamma > 0 ? null : FormattableString.Invariant($"cannot start from {Name}: {nameof(StableGamma)} must be above 0, but is {StableGamma}"))
        ?? (Direction == LoraGaDirection.Random || shape.FullRank is not long full || 2 * shape.Rank <= full
            ? null
            : $"has a weight of {shape.OutFeatures}×{shape.InFeatures}, of whose gradient {Name} takes twice the rank {shape.Rank} of singular vectors: the rank must be at most {full / 2}, or {nameof(Direction)} {LoraGaDirection.Random}");

    /// <inheritdoc/>
    protected internal override void Initialize(AdapterStart start)
    {
        Tensor gradient = start.Statistic;
        long rank = start.Adapter.Rank, full = Math.Min(gradient.shape[0], gradient.shape[1]);
        (Tensor u, Tensor s, Tensor vh) = RandomizedSvd.Of(gradient, Math.Min(4 * rank, full), Iterations, Seed);
        (Tensor down, Tensor up) = Chosen(rank, Math.Min(2 * rank, full), gradient.device);
        Tensor a = vh.index_select(0, down), values = s.index_select(0, up), b = u.index_select(1, up).mul(values);
        double scale = start.Adapter.InitialScale;
        switch (Scale)
        {
            case LoraGaScale.Stable:
                b = b.mul(Math.Pow(gradient.shape[0], 0.25) / Math.Sqrt(StableGamma));
                break;
            case LoraGaScale.Weight when values[0].ToDouble() is var largest and > 0:
                b = b.mul(RandomizedSvd.Of(start.Weight(), rank, Iterations, Seed).S[0].ToDouble() / largest);
                break;
            case LoraGaScale.GradientDescent:
                (a, b) = (a.div(scale), b.div(scale));
                break;
        }
        start.Set(a, b);
    }

    internal override Calibration Calibrate(IReadOnlyList<CalibratedLayer> layers, LoraConfig config)
    {
        Parameter[] weights = [.. layers.Select(layer => layer.View.Weight)];
        long[] passes = new long[layers.Count];
        Tensor?[] before = [.. weights.Select(weight => weight.grad)];
        try
        {
            foreach (Parameter weight in weights) weight.grad = null;
            using (new Watches(layers.Select((layer, i) => LayerInputs.Watch(layer.Module, _ => passes[i]++))))
            {
                foreach (CalibrationPass pass in Passes) pass.Run();
            }
            var gradients = new Dictionary<string, Tensor>(StringComparer.Ordinal);
            for (int i = 0; i < weights.Length; i++)
            {
                using Tensor? gradient = weights[i].grad;
                if (gradient is null)
                {
                    foreach (Tensor done in gradients.Values) done.Dispose();
                    throw new InvalidOperationException(
                        $"{Name}: no gradient reached the weight of '{layers[i].Path}': each pass must compute a loss from the model's output and call backward(), and every targeted layer must take part in it.");
                }
                gradients.Add(layers[i].Path, Averaged(gradient, layers[i].View.IsTransposed, passes[i]));
            }
            return new Calibration(config, gradients);
        }
        finally
        {
            for (int i = 0; i < weights.Length; i++)
            {
                weights[i].grad = before[i];
                before[i]?.Dispose();
            }
        }
    }

    private static Tensor Averaged(Tensor gradient, bool isTransposed, long passes)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Tensor wide = gradient.dtype == ScalarType.Float64 ? gradient : gradient.to(ScalarType.Float32);
        return (isTransposed ? wide.t() : wide).div(passes).contiguous().DetachFromDisposeScope();
    }

    // The numbers of the vectors for A and for B.
    private (Tensor Down, Tensor Up) Chosen(long rank, long found, Device device)
    {
        using var generator = new Generator((ulong)Seed, CPU);
        Tensor first = arange(0, rank, device: device), second = arange(rank, 2 * rank, device: device);
        switch (Direction)
        {
            case LoraGaDirection.A2rBr:
                return (second, first);
            case LoraGaDirection.ArBr:
                return (arange(1, 2 * rank, 2, device: device), arange(0, 2 * rank, 2, device: device));
            case LoraGaDirection.Random:
                Tensor drawn = rand([found], device: CPU, generator: generator).argsort().narrow(0, 0, rank).to(device);
                return (drawn, drawn);
            default:
                return (first, second);
        }
    }
}
