using Lora.Layers;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Initialization;

/// <summary>One fresh pair A, B that gets its initial values.</summary>
public sealed class AdapterStart
{
    private readonly Func<Tensor>? _weight;
    private readonly Tensor? _statistic;

    internal AdapterStart(string path, LoraAdapter adapter, Func<Tensor>? weight, bool isTransposed, Tensor? statistic = null)
    {
        Path = path;
        Adapter = adapter;
        IsTransposed = isTransposed;
        _weight = weight;
        _statistic = statistic;
    }

    /// <summary>The layer's path in its model.</summary>
    public string Path { get; }

    /// <summary>The adapter; its <see cref="LoraAdapter.A"/> and <see cref="LoraAdapter.B"/> are to be set in place.</summary>
    public LoraAdapter Adapter { get; }

    /// <summary>Whether the layer stores its weight as <c>[in, out]</c>.</summary>
    internal bool IsTransposed { get; }

    /// <summary>What was found out about the layer from data.</summary>
    /// <exception cref="InvalidOperationException">Nothing was.</exception>
    internal Tensor Statistic => _statistic ?? throw new InvalidOperationException($"Nothing was found out about '{Path}' from data.");

    /// <summary>
    /// Returns the base weight W as <c>[out, in]</c> (of an embedding <c>[dim, num]</c>), in float32 at least; a view of it, or a new tensor that belongs to the current
    /// dispose scope.
    /// </summary>
    /// <returns>The weight, which must not be changed.</returns>
    /// <exception cref="InvalidOperationException">The layer has no such weight.</exception>
    public Tensor Weight()
    {
        Tensor weight = (_weight ?? throw new InvalidOperationException($"'{Path}' has no weight matrix that an adapter could start from."))().detach();
        return weight.dtype == ScalarType.Float64 ? weight : weight.to(ScalarType.Float32);
    }

    /// <summary>Sets A and B in place; each is rounded to its type.</summary>
    /// <param name="a">A, shape <c>[r, in]</c>.</param>
    /// <param name="b">B, shape <c>[out, r]</c>.</param>
    public void Set(Tensor a, Tensor b)
    {
        Parameter down = Adapter.A, up = Adapter.B;
        down.copy_(a.reshape(down.shape));
        up.copy_(b.reshape(up.shape));
    }

    /// <summary>The start of one of a layer's pairs.</summary>
    internal static AdapterStart Of(string path, ILoraLayer layer, LoraAdapter adapter, Tensor? statistic = null) => layer switch
    {
        LoraLinear linear => new AdapterStart(path, adapter, () => linear.IsTransposed ? linear.OriginalWeight.t() : linear.OriginalWeight, linear.IsTransposed, statistic),
        LoraEmbedding embedding => new AdapterStart(path, adapter, () => embedding.BaseWeight.t(), isTransposed: true, statistic),
        _ => new AdapterStart(path, adapter, null, isTransposed: false, statistic),
    };
}
