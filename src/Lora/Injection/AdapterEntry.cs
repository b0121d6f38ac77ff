using Lora.Serialization;

namespace Lora.Injection;

/// <summary>What is known of one adapter of a model, beside its tensors.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Config">Its configuration, with <c>all-linear</c> resolved to the names of the layers.</param>
/// <param name="File">The configuration file that it was loaded from, or null.</param>
/// <param name="Report">What was accepted on loading though unusual.</param>
internal sealed record AdapterEntry(string Name, LoraConfig Config, PeftAdapterConfig? File, IReadOnlyList<string> Report);
