using Lora.Initialization;
using Lora.Llm;
using Lora.Optimization;
using static TorchSharp.torch;

namespace Lora.Benchmarks.Methods;

/// <summary>One way to fine-tune.</summary>
/// <param name="Name">Its name in the table.</param>
/// <param name="Configure">The adapter's configuration, from the common one and batches to calibrate on; null for training all weights.</param>
/// <param name="Optimizer">Makes the optimizer from the wrapped model and a learning rate; AdamW over all trainable parameters where null.</param>
internal sealed record Method(string Name, Func<LoraConfig, IReadOnlyList<CalibrationPass>, LoraConfig>? Configure, Func<LoraModel<LlamaModel>, double, optim.Optimizer>? Optimizer = null)
{
    internal static IReadOnlyList<Method> All { get; } =
    [
        new("full fine-tuning", null),
        Started("LoRA", _ => AdapterInitialization.Kaiming),
        Started("LoRA, gaussian", _ => AdapterInitialization.Gaussian),
        Started("LoRA, orthogonal", _ => AdapterInitialization.Orthogonal),
        Started("PiSSA", _ => AdapterInitialization.Pissa),
        Started("PiSSA, randomised", _ => new PissaInitialization { Iterations = 4 }),
        Started("OLoRA", _ => AdapterInitialization.Olora),
        Started("MiCA", _ => AdapterInitialization.Mica),
        Started("EVA", passes => new EvaInitialization { Passes = passes }),
        Started("CorDA, instruction-previewed", passes => new CordaInitialization { Passes = passes }),
        Started("CorDA, knowledge-preserved", passes => new CordaInitialization { Passes = passes, Method = CordaMethod.KnowledgePreserved }),
        Started("LoRA-GA", passes => new LoraGaInitialization { Passes = passes }),
        new("rsLoRA", (config, _) => config with { UseRankStabilizedScaling = true }),
        new("DoRA", (config, _) => config with { UseDora = true }),
        new("LoRA+, ratio 4", (config, _) => config, (lora, rate) => new FlatAdamW(lora.ParameterGroups(new GroupOptions { LearningRate = rate, UpRatio = 4 }))),
        new("LoRA-FA", (config, _) => config, (lora, rate) =>
        {
            foreach (Layers.LoraAdapter pair in lora.Pairs()) pair.A.requires_grad = false;
            return new PreconditionedOptimizer(optim.AdamW(lora.TrainableParameters(), rate, eps: 1e-6), lora.Pairs(), new LoraFaPreconditioner());
        }),
        new("Riemannian gradients", (config, _) => config, (lora, rate) => new PreconditionedOptimizer(optim.AdamW(lora.TrainableParameters(), rate), lora.Pairs(), new RiemannianPreconditioner())),
    ];

    private static Method Started(string name, Func<IReadOnlyList<CalibrationPass>, AdapterInitialization> start) =>
        new(name, (config, passes) => config with { Initialization = start(passes) });
}
