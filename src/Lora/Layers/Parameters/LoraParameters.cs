using System.Reflection;
using Lora.Injection;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>
/// A module of any signature with low-rank adapters on raw parameters of two or three dimensions, such as the stacked weights of experts: in each pass
/// the module finds W + Σ ΔW in the place of each adapted W. It stands beside the module; hooks put the sum there and take it away, so a pass goes
/// through <c>call</c>.
/// </summary>
/// <remarks>
/// A parameter of three dimensions is <c>[experts, out, in]</c>, or <c>[experts, in, out]</c> where the module has a property or field of type
/// <see cref="bool"/> called <c>IsTransposed</c> or <c>is_transposed</c> that is true.
/// </remarks>
public sealed class LoraParameters : nn.Module, ILoraLayer
{
    private static readonly string[] _transposedNames = ["IsTransposed", "is_transposed"];

    private readonly nn.Module _module;
    private readonly Dictionary<string, ParameterField> _fields = new(StringComparer.Ordinal);
    private long _calls;

    internal LoraParameters(nn.Module module)
        : base(nameof(LoraParameters))
    {
        _module = module;
        Adapters = new AdapterSet(this, this);
        // A module remembers where it was moved to, not where its parameters are. Without this, a model on another device could not be moved off it.
        if (module.parameters().FirstOrDefault() is { } parameter && parameter.device_type != DeviceType.CPU) this.to(parameter.device);
    }

    /// <inheritdoc/>
    nn.Module ILoraLayer.BaseLayer => _module;

    /// <inheritdoc/>
    public AdapterSet Adapters { get; }

    /// <inheritdoc/>
    public string Signature => string.Join(", ", Adapters.OfType<CompositeAdapter>().SelectMany(adapter => adapter.PartNames).Distinct().Select(name => $"{name} {string.Join("×", Field(name).Parameter.shape)}"));

    /// <inheritdoc/>
    bool ILoraLayer.OwnsBase => false;

    /// <inheritdoc/>
    long ILoraLayer.Calls => _calls;

    /// <summary>Whether a module says that it stores stacked weights as <c>[experts, in, out]</c>.</summary>
    internal static bool IsTransposed(nn.Module module)
    {
        const BindingFlags Any = BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic;
        return _transposedNames.Any(name => (module.GetType().GetProperty(name, Any)?.GetValue(module) ?? module.GetType().GetField(name, Any)?.GetValue(module)) is true);
    }

    /// <inheritdoc/>
    LoraAdapter ILoraLayer.Create(string name, AdapterSettings settings)
    {
        KeyValuePair<string, AdapterSettings>[] parts = [.. settings.Parts!];
        // PEFT nests one wrapper for each parameter: the last one is the outermost, and each inner one is called base_layer.
        return new CompositeAdapter(name, parts[0].Value, parts.Select((part, i) => new CompositePair(
            part.Key, string.Concat(Enumerable.Repeat("base_layer.", parts.Length - 1 - i)), Make(name, part.Key, part.Value with { Initialize = settings.Initialize }))));
    }

    /// <inheritdoc/>
    IEnumerable<WeightChange> ILoraLayer.ChangesOf(LoraAdapter adapter)
    {
        Restore();
        var composite = (CompositeAdapter)adapter;
        foreach (string name in composite.PartNames) yield return WeightChange.Sum(Field(name).Parameter, composite.Part(name)!.ComputeDelta());
    }

    /// <inheritdoc/>
    void ILoraLayer.Settle() => Restore();

    /// <inheritdoc/>
    IDisposable ILoraLayer.AttachHook()
    {
        IDisposable before = ModuleHooks.Before(_module, Replace), after = ModuleHooks.After(_module, Restore);
        return new HookRemoval(() =>
        {
            before.Dispose();
            after.Dispose();
            Restore();
        });
    }

    /// <inheritdoc/>
    void ILoraLayer.Release() => Dispose();

    /// <summary>Does nothing: the adapters are registered under their names.</summary>
    protected override void RegisterComponents()
    {
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            foreach (ParameterField field in _fields.Values) field.Dispose();
            Adapters.Release();
        }
        base.Dispose(disposing);
    }

    private void Replace()
    {
        _calls++;
        // After a pass that failed, the hook behind it did not run.
        Restore();
        CompositeAdapter[] adapters = [.. Adapters.Contributing.Cast<CompositeAdapter>()];
        foreach (string name in adapters.SelectMany(adapter => adapter.PartNames).Distinct()) Field(name).Replace(Effective(name, adapters));
    }

    // Where the types differ the sum is taken in the wider one and rounded once.
    private Tensor Effective(string name, CompositeAdapter[] adapters)
    {
        using var scope = NewDisposeScope();
        Parameter weight = Field(name).Parameter;
        Tensor sum = weight;
        foreach (CompositeAdapter adapter in adapters)
            if (adapter.Part(name) is ParameterAdapter part) sum = sum.add(part.Delta());
        return (sum.dtype == weight.dtype ? sum : sum.to(weight.dtype)).MoveToOuterDisposeScope();
    }

    private void Restore()
    {
        foreach (ParameterField field in _fields.Values) field.Restore();
    }

    private ParameterAdapter Make(string adapterName, string parameter, AdapterSettings settings)
    {
        Parameter weight = Field(parameter).Parameter;
        return new ParameterAdapter(adapterName, ParameterShape.Of(weight.shape, IsTransposed(_module)), settings, AdapterSettings.TypeOver(weight.dtype), weight.device);
    }

    private ParameterField Field(string name)
    {
        if (!_fields.TryGetValue(name, out ParameterField? field)) _fields.Add(name, field = new ParameterField(_module, name));
        return field;
    }
}
