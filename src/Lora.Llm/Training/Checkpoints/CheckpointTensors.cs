using Lora.Optimization;
using Lora.Serialization;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Llm.Training.Checkpoints;

/// <summary>
/// The file <c>optimizer.safetensors</c>: all numbers of all adapters, trained or not, in their own type (PEFT's files may hold others, such as a pair of which a start is a part), the buffers, and what the
/// optimizer has accumulated.
/// </summary>
internal static class CheckpointTensors
{
    private const string OptimizerPrefix = "optimizer.";

    internal static void Save<TModel>(string folder, LoraModel<TModel> lora, optim.Optimizer optimizer)
        where TModel : CausalLanguageModel
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        IEnumerable<KeyValuePair<string, Tensor>> state = OptimizerStates.Save(optimizer).Select(tensor => KeyValuePair.Create(OptimizerPrefix + tensor.Key, tensor.Value));
        SafetensorsWriter.Save(Path.Combine(folder, CheckpointFolder.TensorsName), [.. Places(lora), .. state]);
    }

    /// <exception cref="InvalidDataException">The file fits neither the adapters nor the optimizer; every difference is listed, and no adapter has changed.</exception>
    internal static void Load<TModel>(string folder, LoraModel<TModel> lora, optim.Optimizer? optimizer)
        where TModel : CausalLanguageModel
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        string path = Path.Combine(folder, CheckpointFolder.TensorsName);
        using SafetensorsFile file = SafetensorsFile.Open(path);
        Dictionary<string, Tensor> places = Places(lora).ToDictionary(StringComparer.Ordinal);
        string[] problems =
        [
            .. places.Where(place => !file.TryGetEntry(place.Key, out _)).Select(place => $"'{place.Key}' is missing"),
            .. file.Entries.Where(entry => !entry.Name.StartsWith(OptimizerPrefix, StringComparison.Ordinal)).Select(entry => Problem(entry, places.GetValueOrDefault(entry.Name))).OfType<string>(),
        ];
        if (problems.Length > 0) throw new InvalidDataException($"{path} does not fit the adapters:{string.Concat(problems.Select(problem => $"\n  - {problem}"))}");
        if (optimizer is not null) LoadOptimizer(file, optimizer);
        foreach ((string name, Tensor place) in places) file.CopyTo(name, place);
    }

    private static void LoadOptimizer(SafetensorsFile file, optim.Optimizer optimizer)
    {
        var state = file.Entries.Where(entry => entry.Name.StartsWith(OptimizerPrefix, StringComparison.Ordinal))
            .ToDictionary(entry => entry.Name[OptimizerPrefix.Length..], entry => file.ReadTensor(entry.Name), StringComparer.Ordinal);
        try
        {
            OptimizerStates.Load(optimizer, state);
        }
        catch (ArgumentException exception)
        {
            throw new InvalidDataException($"{file.Path} does not fit the optimizer: {exception.Message}", exception);
        }
    }

    private static string? Problem(SafetensorsEntry entry, Tensor? place)
    {
        if (place is null) return $"'{entry.Name}' belongs to nothing here";
        return entry.Type.ToScalarType() == place.dtype && place.shape.AsSpan().SequenceEqual(entry.Shape.AsSpan())
            ? null
            : $"'{entry.Name}' is {entry.Type.ToFileName()} [{string.Join(", ", entry.Shape)}], but {place.dtype} [{string.Join(", ", place.shape)}] here";
    }

    private static IEnumerable<KeyValuePair<string, Tensor>> Places<TModel>(LoraModel<TModel> lora)
        where TModel : CausalLanguageModel =>
    [
        .. lora.AdapterNames.SelectMany(name => lora.AdapterTensors(name).Select(tensor => KeyValuePair.Create($"adapter.{name}.{tensor.Key}", (Tensor)tensor.Value))),
        .. lora.StateBuffers().Select(buffer => KeyValuePair.Create($"buffer.{buffer.Key}", buffer.Value)),
    ];
}
