using Lora.Initialization;
using Lora.Layers;

namespace Lora;

/// <summary>
/// The values that A and B of a fresh adapter start from. PEFT calls it <c>init_lora_weights</c>.
/// </summary>
/// <remarks>
/// <para>After most of them a fresh adapter changes nothing, since B·A is zero. Those with <see cref="ChangesBase"/> start from a part of the base weight W (or of its gradient),
/// s·B₀·A₀, and train beside what is left of it, W − s·B₀·A₀. The base weight itself stays as it is: the adapter holds the pair A₀, B₀ beside A and B, frozen, and computes
/// s·(B·A − B₀·A₀). So a fresh adapter changes nothing either, other adapters of the model stay right, and disabling gives the base model.</para>
/// <para>Derive a class for a start of your own; a saved adapter does not depend on it.</para>
/// </remarks>
public abstract record AdapterInitialization
{
    /// <summary>A from U(−1/√n, 1/√n) with n inputs of an output, B zero; for embeddings A zero and B from N(0, 1). PEFT calls it <c>true</c>.</summary>
    public static AdapterInitialization Kaiming { get; } = new KaimingInitialization();

    /// <summary>Both A and B as torch draws the weights of a layer, so that a fresh adapter does change the output; for tests. PEFT calls it <c>false</c>.</summary>
    public static AdapterInitialization TorchDefault { get; } = new TorchDefaultInitialization();

    /// <summary>A from a normal distribution with the standard deviation 1/r, B zero; embeddings as with <see cref="Kaiming"/>. PEFT calls it <c>gaussian</c>.</summary>
    public static AdapterInitialization Gaussian { get; } = new GaussianInitialization();

    /// <summary>A and B not zero, with B·A = 0: they span halves of a random orthogonal basis. The rank must be even. PEFT calls it <c>orthogonal</c>.</summary>
    public static AdapterInitialization Orthogonal { get; } = new OrthogonalInitialization();

    /// <summary>The largest singular values of W and their vectors, found exactly. PEFT calls it <c>pissa</c>.</summary>
    public static AdapterInitialization Pissa { get; } = new PissaInitialization();

    /// <summary>The first columns of Q and rows of R in W = Q·R. PEFT calls it <c>olora</c>.</summary>
    public static AdapterInitialization Olora { get; } = new OloraInitialization();

    /// <summary>B from the smallest singular values' vectors of W, and frozen; A zero. PEFT calls it <c>mica</c>.</summary>
    public static AdapterInitialization Mica { get; } = new MicaInitialization();

    /// <summary>Whether the initial s·B·A is a part of what the base computes, which the adapter takes off again.</summary>
    public virtual bool ChangesBase => false;

    /// <summary>
    /// Whether the start is taken off the base weights while the adapter is active, in place of computing the frozen pair in each pass: <c>AdapterInitialization.Pissa with { WritesBase =
    /// true }</c>. A pass then costs what one of a plain adapter does; each of the layers keeps a copy of its weight, from which it is restored bit for bit when the adapter becomes inactive, is
    /// disabled, merged or unloaded, or when each sample has an adapter of its own. The model's <c>state_dict</c> holds W − s·B₀·A₀ meanwhile. Only with <see cref="ChangesBase"/>.
    /// </summary>
    /// <value>False by default.</value>
    public bool WritesBase { get; init; }

    /// <summary>Whether B keeps its initial value.</summary>
    public virtual bool FreezesB => false;

    /// <summary>Sets A and B of one fresh pair. Gradients are off, and new tensors belong to a scope of the caller's.</summary>
    /// <param name="start">The pair and what is known about its layer. A and B hold no defined values yet.</param>
    protected internal abstract void Initialize(AdapterStart start);

    /// <summary>Tells what prevents this start on a layer.</summary>
    /// <param name="shape">Shape and rank of the pair.</param>
    /// <returns>The reason with its remedy, a clause that can follow the layer's path; null, as by default, where nothing does.</returns>
    protected internal virtual string? Obstacle(AdapterShape shape) => null;

    /// <summary>Whether the layer of a kind keeps the values that its adapters draw by themselves.</summary>
    internal virtual bool LeavesToAdapter(LoraAdapter adapter) => false;

    /// <summary>The fields of PEFT's configuration file that tell of this start.</summary>
    internal virtual IEnumerable<KeyValuePair<string, string>> Fields => [new("init_lora_weights", "true")];

    /// <summary>Whether values that come from a file need the pair A₀, B₀ found again from the base weight, and whether it can be.</summary>
    internal virtual bool CanBeRepeated => false;

    /// <summary>Sets A and B of a pair to what PEFT's own initialisation gives, where that is something else.</summary>
    internal virtual void InitializeAsPeft(AdapterStart start) => Initialize(start);

    /// <summary>The words by which errors name it.</summary>
    internal string Name => PeftName is string name ? $"init_lora_weights \"{name}\"" : GetType().Name;

    /// <summary>PEFT's name, or null where it has none.</summary>
    internal virtual string? PeftName => null;
}
