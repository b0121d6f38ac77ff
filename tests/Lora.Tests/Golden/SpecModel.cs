using System.Globalization;
using System.Text.Json;
using Lora.Serialization;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Golden;

/// <summary>
/// A model built from the list of modules and the chain of calls of a <c>case.json</c>. Dotted paths become dictionaries and lists, where adapters are
/// swapped in; modules at the root are in no field, so there adapters are attached by hooks.
/// </summary>
internal sealed class SpecModel : nn.Module<Tensor, Tensor>
{
    private readonly Dictionary<string, nn.Module> _roots = [];
    private readonly string[] _chain;
    private readonly HashSet<string> _batchFirst;

    /// <param name="spec">The description.</param>
    /// <param name="weights">The file of the weights.</param>
    /// <param name="type">The type to compute in; that of the file where null.</param>
    public SpecModel(JsonElement spec, string weights, ScalarType? type = null)
        : base(nameof(SpecModel))
    {
        _chain = [.. spec.GetProperty("forward").EnumerateArray().Select(step => step.GetString()!)];
        _batchFirst = [.. spec.GetProperty("modules").EnumerateArray()
            .Where(module => module.GetProperty("args").TryGetProperty("batch_first", out JsonElement first) && first.GetBoolean())
            .Select(module => module.GetProperty("path").GetString()!)];
        using var noGrad = no_grad();
        using SafetensorsSource source = SafetensorsSource.Open(weights);
        var leaves = spec.GetProperty("modules").EnumerateArray()
            .Select(module => (Path: module.GetProperty("path").GetString()!.Split('.'), Module: SpecModules.Make(module.GetProperty("type").GetString()!, module.GetProperty("args"), type ?? source.Entries.First().Type.ToScalarType()!.Value)))
            .ToList();
        foreach (IGrouping<string, (string[] Path, nn.Module Module)> group in leaves.GroupBy(leaf => leaf.Path[0]))
        {
            _roots[group.Key] = Branch([.. group.Select(leaf => (leaf.Path[1..], leaf.Module))]);
            register_module(group.Key, _roots[group.Key]);
        }
        Dictionary<string, Parameter> parameters = named_parameters().ToDictionary(p => p.name, p => p.parameter);
        Assert.Equal(source.Entries.Select(entry => entry.Name).Order(), parameters.Keys.Order());
        foreach ((string name, Parameter parameter) in parameters) source.CopyTo(name, parameter);
    }

    public override Tensor forward(Tensor input)
    {
        Tensor x = input;
        foreach (string step in _chain) x = step[0] == '@' ? Function(step, x) : Call(step, x);
        return x;
    }

    // Of an attention, query, key and value are the same, and the first result counts.
    private Tensor Call(string step, Tensor x) => Find(step) switch
    {
        nn.Module<Tensor, Tensor> module => module.call(x),
        nn.Module<Tensor, Tensor, Tensor, Tensor, bool, Tensor, Tuple<Tensor, Tensor>> attention when _batchFirst.Contains(step) =>
            x.transpose(0, 1) is var turned ? attention.call(turned, turned, turned, null!, false, null!).Item1.transpose(0, 1) : x,
        nn.Module<Tensor, Tensor, Tensor, Tensor, bool, Tensor, Tuple<Tensor, Tensor>> attention => attention.call(x, x, x, null!, false, null!).Item1,
        nn.Module other => throw new NotSupportedException($"The golden tests cannot call a {other.GetType().Name}."),
    };

    private nn.Module Find(string path)
    {
        string[] parts = path.Split('.');
        nn.Module module = _roots[parts[0]];
        foreach (string part in parts[1..])
            module = module is ModuleList<nn.Module> list ? list[int.Parse(part, CultureInfo.InvariantCulture)] : ((ModuleDict<nn.Module>)module)[part];
        return module;
    }

    private static nn.Module Branch((string[] Path, nn.Module Module)[] leaves)
    {
        if (leaves is [{ Path.Length: 0 }]) return leaves[0].Module;
        var children = leaves.GroupBy(leaf => leaf.Path[0]).Select(group => (Name: group.Key, Module: Branch([.. group.Select(leaf => (leaf.Path[1..], leaf.Module))]))).ToList();
        if (children.Select((child, i) => child.Name == i.ToString(CultureInfo.InvariantCulture)).All(same => same))
            return new ModuleList<nn.Module>([.. children.Select(child => child.Module)]);
        var dictionary = new ModuleDict<nn.Module>();
        foreach ((string name, nn.Module module) in children) dictionary.Add(name, module);
        return dictionary;
    }

    private static Tensor Function(string name, Tensor x) => name switch
    {
        "@relu" => nn.functional.relu(x),
        "@tanh" => x.tanh(),
        "@gelu" => nn.functional.gelu(x),
        "@silu" => nn.functional.silu(x),
        "@sigmoid" => x.sigmoid(),
        "@flatten" => x.flatten(1),
        "@mean1" => x.mean([1]),
        _ => throw new NotSupportedException($"The golden tests do not know the function '{name}'."),
    };
}
