using Lora.Export;
using Lora.Serialization;

namespace Lora.Llm.Export;

/// <summary>Which tensor of a checkpoint goes where in a GGUF file. What does not fit is found here, before anything is written.</summary>
internal static class GgufModelPlan
{
    internal readonly record struct Planned(PlannedTensor Source, GgufPlace Place, bool IsBias)
    {
        internal string Name => $"{Place.Name}.{(IsBias ? "bias" : "weight")}";

        internal IReadOnlyList<long> Shape => IsBias ? [Place.Shape[0]] : Place.Shape;
    }

    /// <summary>The tensors in the order of the family's parts.</summary>
    /// <exception cref="AdapterFormatException">Tensors are missing, unexpected or misshapen; all are listed.</exception>
    internal static IReadOnlyList<Planned> Of(BaseCheckpoint checkpoint, GgufFamily family, IReadOnlyList<PlannedTensor> tensors, bool isTied)
    {
        var found = new Dictionary<string, PlannedTensor>(StringComparer.Ordinal);
        var problems = new List<string>();
        foreach (PlannedTensor tensor in tensors.Where(tensor => !family.IsOldTable(tensor.Name)))
        {
            string name = family.Bare(tensor.Name);
            int dot = name.LastIndexOf('.');
            bool isKnown = dot > 0 && family.Places.TryGetValue(name[..dot], out GgufPlace? place) && (name[dot..] == ".weight" || (name[dot..] == ".bias" && place.HasBias));
            if (isTied && name == BaseCheckpoint.Head) continue;
            if (!isKnown) problems.Add($"unexpected tensor {tensor.Entry.Name}, shape {Text(tensor.Entry.Shape)}");
            else if (!found.TryAdd(name, tensor)) problems.Add($"tensor {tensor.Entry.Name} is there with and without '{family.Prefix}'");
        }
        var planned = new List<Planned>();
        foreach ((string path, GgufPlace place) in family.Places.Where(pair => !isTied || pair.Key != "lm_head"))
        {
            foreach (bool isBias in place.HasBias ? [false, true] : new[] { false })
            {
                string name = $"{path}.{(isBias ? "bias" : "weight")}";
                if (!found.TryGetValue(name, out PlannedTensor? tensor)) problems.Add($"missing tensor {(path == "lm_head" ? "" : family.Prefix)}{name}");
                else if (ProblemOf(tensor, place, isBias) is string problem) problems.Add(problem);
                else planned.Add(new Planned(tensor, place, isBias));
            }
        }
        return problems.Count == 0 ? planned : throw new AdapterFormatException(checkpoint.Folder, problems);
    }

    private static string? ProblemOf(PlannedTensor tensor, GgufPlace place, bool isBias)
    {
        IReadOnlyList<long> shape = isBias ? [place.Shape[0]] : place.IsTransposed ? [.. place.Shape.Reverse()] : place.Shape;
        if (!tensor.Entry.Shape.SequenceEqual(shape)) return $"tensor {tensor.Entry.Name} has the shape {Text(tensor.Entry.Shape)}, but {Text(shape)} is needed";
        return tensor.Entry.Type is SafetensorsType.F16 or SafetensorsType.BF16 or SafetensorsType.F32 or SafetensorsType.F64
            ? null
            : $"tensor {tensor.Entry.Name} has the type {tensor.Entry.Type.ToFileName()}, but a floating-point type (F16, BF16, F32 or F64) is needed";
    }

    private static string Text(IEnumerable<long> shape) => $"[{string.Join(", ", shape)}]";
}
