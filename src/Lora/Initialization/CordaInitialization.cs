using Lora.Serialization;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Initialization;

/// <summary>
/// CorDA: with C the covariance of the layer's inputs, W·C = U·diag(S)·Vᵀ, B = U·√(S/s) and A = √(S/s)·Vᵀ·C⁻¹ of the largest singular values or of the smallest (Yang et
/// al. 2024, "CorDA: Context-Oriented Decomposition Adaptation of Large Language Models").
/// </summary>
/// <remarks>An adapter in PEFT's raw form cannot be loaded again, in PEFT neither: its start hangs on the data. Saved as usual it is a plain adapter of twice the rank.</remarks>
public sealed record CordaInitialization : CalibratedInitialization
{
    private const double LargestInverseError = 0.05;

    /// <summary>Which part of W the adapter starts from.</summary>
    /// <value><see cref="CordaMethod.InstructionPreviewed"/> by default.</value>
    public CordaMethod Method { get; init; }

    // How PEFT came to the values, which says nothing here: kept for the file.
    internal SettingList<string> Further { get; init; } = SettingList<string>.Of(
        ["\"cache_file\":null", "\"covariance_file\":null", "\"prune_temporary_fields\":true", "\"use_float16_for_covariance\":false", "\"verbose\":false"]);

    /// <inheritdoc/>
    public override bool ChangesBase => true;

    internal override string PeftName => "corda";

    internal override IEnumerable<KeyValuePair<string, string>> Fields =>
    [
        new("corda_config", PythonJson.Object([$"\"corda_method\":\"{(Method == CordaMethod.KnowledgePreserved ? "kpm" : "ipm")}\"", .. Further])),
        new("init_lora_weights", "\"corda\""),
    ];

    /// <inheritdoc/>
    protected internal override string? Obstacle(AdapterShape shape) => base.Obstacle(shape) ?? shape.UnlessPositiveScale(Name);

    /// <inheritdoc/>
    protected internal override void Initialize(AdapterStart start)
    {
        (Tensor covariance, Tensor inverse) = Inverse(start.Path, start.Statistic);
        (Tensor u, Tensor s, Tensor vh) = linalg.svd(start.Weight().matmul(covariance), fullMatrices: false);
        long rank = start.Adapter.Rank, first = Method == CordaMethod.KnowledgePreserved ? s.shape[0] - rank : 0;
        Tensor root = s.narrow(0, first, rank).div(start.Adapter.InitialScale).sqrt();
        start.Set(root.unsqueeze(1).mul(vh.narrow(0, first, rank).matmul(inverse)), u.narrow(1, first, rank).mul(root));
    }

    internal override Calibration Calibrate(IReadOnlyList<CalibratedLayer> layers, LoraConfig config)
    {
        var sums = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        var counts = new Dictionary<string, long>(StringComparer.Ordinal);
        bool complete = false;
        try
        {
            foreach (CalibrationPass pass in Passes)
            {
                using (new Watches(layers.Select(layer => LayerInputs.Watch(layer.Module, input => Add(layer.Path, input, pass.Mask, sums, counts))))) pass.Run();
            }
            if (layers.FirstOrDefault(layer => !sums.ContainsKey(layer.Path)) is CalibratedLayer unreached)
                throw new InvalidOperationException($"{Name}: no pass reached '{unreached.Path}': run the model so that it calls every targeted layer, or leave the layer out of the targets.");
            foreach ((string path, Tensor sum) in sums) sum.div_(counts[path]);
            complete = true;
        }
        finally
        {
            if (!complete) foreach (Tensor sum in sums.Values) sum.Dispose();
        }
        return new Calibration(config, sums);
    }

    private void Add(string path, Tensor input, Tensor? mask, Dictionary<string, Tensor> sums, Dictionary<string, long> counts)
    {
        using var scope = NewDisposeScope();
        Tensor rows = LayerInputs.Rows(path, input, mask);
        // By the largest value, so that no pass counts for its size only.
        Tensor scaled = rows.div(rows.max().abs());
        if (!scaled.isfinite().all().item<bool>()) throw new InvalidOperationException($"{Name}: the input of '{path}' holds a NaN or an infinity, or nothing above 0.");
        Tensor product = scaled.t().matmul(scaled);
        if (sums.TryGetValue(path, out Tensor? sum)) sum.add_(product);
        else sums.Add(path, product.DetachFromDisposeScope());
        counts[path] = counts.GetValueOrDefault(path) + 1;
    }

    // Few rows give a matrix without an inverse. What is added to its diagonal grows until there is one.
    private (Tensor Covariance, Tensor Inverse) Inverse(string path, Tensor covariance)
    {
        Tensor identity = eye(covariance.shape[0], dtype: covariance.dtype, device: covariance.device);
        double mean = covariance.diagonal().mean().ToDouble();
        for (double damping = 0.01; double.IsFinite(damping * mean) && mean > 0; damping *= 2)
        {
            Tensor damped = covariance.add(identity.mul(damping * mean));
            Tensor inverse = linalg.inv(damped);
            if (damped.matmul(inverse).sub(identity).norm().ToDouble() < LargestInverseError) return (damped, inverse);
        }
        throw new InvalidOperationException($"{Name}: the covariance of the inputs of '{path}' cannot be inverted: give more data.");
    }
}
