using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Lora.Layers;
using Lora.Targeting;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Injection;

/// <summary>Finds parameters that share memory, which TorchSharp shows neither by reference nor by handle.</summary>
internal static class TiedWeights
{
    /// <summary>One parameter of each group that shares memory.</summary>
    internal static IEnumerable<Parameter> Distinct(IEnumerable<Parameter> parameters)
    {
        var seen = new HashSet<(long, long)>();
        foreach (Parameter parameter in parameters)
            if (seen.Add(Identity(parameter))) yield return parameter;
    }

    /// <summary>Refuses to merge into a weight that another module uses too: merging would change what that module computes. Only parameters that change count.</summary>
    /// <exception cref="InvalidOperationException">A base weight is shared.</exception>
    internal static void ThrowIfSharedOutside(nn.Module model, IEnumerable<(AdapterLayer Layer, LoraAdapter Adapter)> merges)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        ILookup<(long, long), string> owners = ModuleWalker.Walk(model)
            .SelectMany(site => OwnParameters(site.Module).Select(p => (Key: Identity(p.Parameter), Name: $"{site.Path}.{p.Name}")))
            .Concat(OwnParameters(model).Select(p => (Key: Identity(p.Parameter), p.Name)))
            .ToLookup(p => p.Key, p => p.Name);
        (ModuleSite Embedding, ModuleSite Head)? tie = TiedTargets.Sites(model, ModuleWalker.Walk(model));
        foreach ((AdapterLayer layer, LoraAdapter adapter) in merges)
        {
            string own = layer.Path + ".";
            bool shares = adapter is EmbeddingAdapter { SharesWithHead: true };
            if (tie is not null && ReferenceEquals(tie.Value.Embedding.Module, layer.Layer.BaseLayer) && !shares)
            {
                throw new InvalidOperationException(
                    $"The weight of '{layer.Path}' is that of the output head '{tie.Value.Head.Path}' too: merging would change the head, which the adapter does not. Keep it unmerged, or train one with {nameof(LoraConfig.EnsureWeightTying)} (ensure_weight_tying).");
            }
            foreach (Parameter parameter in layer.Layer.ChangesOf(adapter).Select(change => change.Weight))
            {
                string? other = owners[Identity(parameter)].FirstOrDefault(name => !name.StartsWith(own, StringComparison.Ordinal) && !(shares && name.StartsWith(tie?.Head.Path + ".", StringComparison.Ordinal)));
                if (other is not null)
                {
                    throw new InvalidOperationException(
                        $"The weight of '{layer.Path}' is shared with '{other}': merging would change that layer too. Give the layer a weight of its own first, or leave it out of the targets.");
                }
            }
        }
    }

    private static IEnumerable<(string Name, Parameter Parameter)> OwnParameters(nn.Module module) =>
        module.named_parameters(recurse: false).Select(p => (p.name, p.parameter));

    // The address of the first element tells on a CPU. Elsewhere there is no public pointer, so only the same handle counts as the same.
    private static (long Address, long Elements) Identity(Parameter parameter)
    {
        if (parameter.device_type != DeviceType.CPU || parameter.numel() == 0 || !parameter.is_contiguous()) return (parameter.Handle, -1);
        ref byte first = ref MemoryMarshal.GetReference(parameter.bytes);
        unsafe
        {
            return ((long)Unsafe.AsPointer(ref first), parameter.numel());
        }
    }
}
