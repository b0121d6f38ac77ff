using Lora.Layers;
using static TorchSharp.torch;

namespace Lora.Initialization;

/// <summary>One layer while data runs.</summary>
/// <param name="Path">Its path.</param>
/// <param name="Module">The base layer.</param>
/// <param name="View">Its weight.</param>
/// <param name="Rank">The rank of the adapter to come.</param>
/// <param name="Alpha">Its alpha.</param>
internal sealed record CalibratedLayer(string Path, nn.Module<Tensor, Tensor> Module, LinearView View, int Rank, double Alpha);
