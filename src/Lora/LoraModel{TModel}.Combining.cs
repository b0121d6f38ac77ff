using Lora.Combining;
using Lora.Injection;
using static TorchSharp.torch;

namespace Lora;

public sealed partial class LoraModel<TModel>
{
    /// <summary>
    /// Makes one adapter of several, with weights. PEFT calls it <c>add_weighted_adapter</c>. The new one is not active, is saved like any other, and depends on the others no more;
    /// those stay as they are, and their present scales count.
    /// </summary>
    /// <param name="name">The new adapter's name.</param>
    /// <param name="adapters">The adapters with their weights, which may be negative. Layers that lack some of them combine the others.</param>
    /// <param name="options">The method and its settings; null for the defaults.</param>
    /// <returns>What came out, layer by layer.</returns>
    /// <exception cref="ArgumentException">
    /// The name is taken or unusable, an adapter is unknown or named twice, a setting is missing, out of range or of no use to the method, or the adapters do not fit together. Every
    /// problem is listed, and the model is as it was.
    /// </exception>
    /// <example><c>lora.Combine("blend", [("sql", 0.7), ("style", 0.3)], new CombineOptions { Method = CombineMethod.Svd, Rank = 16 });</c></example>
    public CombineResult Combine(string name, IReadOnlyList<(string Adapter, double Weight)> adapters, CombineOptions? options = null)
    {
        ThrowIfFinished();
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(adapters);
        options ??= new CombineOptions();
        return Combine(new CombineRequest(name, adapters, options, _adapters, _layers), $"The adapters cannot be combined into '{name}'", nameof(adapters), source => Install(source, options.IsTrainable));
    }

    /// <summary>Makes one adapter of several, with the weights in a list of their own.</summary>
    /// <param name="name">The new adapter's name.</param>
    /// <param name="adapters">The adapters.</param>
    /// <param name="weights">As many weights.</param>
    /// <param name="options">The method and its settings; null for the defaults.</param>
    /// <returns>What came out, layer by layer.</returns>
    /// <exception cref="ArgumentException">The lists are not of one length, or as for <see cref="Combine(string, IReadOnlyList{ValueTuple{string, double}}, CombineOptions?)"/>.</exception>
    public CombineResult Combine(string name, IReadOnlyList<string> adapters, IReadOnlyList<double> weights, CombineOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(adapters);
        ArgumentNullException.ThrowIfNull(weights);
        if (adapters.Count != weights.Count)
            throw new ArgumentException($"The adapters cannot be combined into '{name}': {adapters.Count} are named and {weights.Count} weights given. Give each its weight.", nameof(weights));
        return Combine(name, [.. adapters.Zip(weights)], options);
    }

    private CombineResult Combine(CombineRequest request, string refusal, string parameter, Action<AdapterSource> install)
    {
        string[] problems = [.. CombineProblems.Of(request)];
        if (problems.Length > 0) throw new ArgumentException($"{refusal}:{string.Concat(problems.Select(problem => $"\n  - {problem}"))}", parameter);

        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        CombinedAdapter combined = CombinedAdapter.Of(request);
        LoraConfig config = CombinedConfig.Of(_model, _options, request, combined.Ranks);
        // Fields of PEFT's file that say nothing to us come from the first adapter, as they do in PEFT.
        var entry = new AdapterEntry(request.Name, config, request.Sources[0].File, []);
        using AdapterSource source = AdapterSource.Computed(_model, _options, entry, combined.Assign);
        install(source);
        return new CombineResult(request.Name, combined.Report);
    }
}
