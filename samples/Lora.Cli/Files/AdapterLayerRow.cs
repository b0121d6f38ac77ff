using static TorchSharp.torch;

namespace Lora.Cli.Files;

/// <summary>One layer of an adapter, in numbers.</summary>
/// <param name="Path">Its path.</param>
/// <param name="Rank">The rank.</param>
/// <param name="Scale">The factor s.</param>
/// <param name="DownNorm">The Frobenius norm of A.</param>
/// <param name="UpNorm">The Frobenius norm of B.</param>
/// <param name="DeltaNorm">The Frobenius norm of s·B·A.</param>
internal sealed record AdapterLayerRow(string Path, int Rank, double Scale, double DownNorm, double UpNorm, double DeltaNorm)
{
    private const string Prefix = "base_model.model.";
    private static readonly (string Down, string Up)[] _pairs = [(".lora_A.weight", ".lora_B.weight"), (".lora_embedding_A", ".lora_embedding_B")];

    internal static IReadOnlyList<AdapterLayerRow> Of(AdapterTensors adapter)
    {
        LoraConfig config = adapter.Config.ToLoraConfig();
        HashSet<string> names = [.. adapter.Rows.Select(row => row.Name)];
        var layers = new List<AdapterLayerRow>();
        foreach (string name in adapter.Rows.Select(row => row.Name))
        {
            (string down, string up) = Array.Find(_pairs, pair => name.EndsWith(pair.Down, StringComparison.Ordinal));
            if (down is null || !names.Contains(name[..^down.Length] + up)) continue;
            string path = name[..^down.Length];
            using var scope = NewDisposeScope();
            if (adapter.Read(name) is not Tensor a || adapter.Read(path + up) is not Tensor b || a.dim() < 2 || b.dim() < 2) continue;
            path = path.StartsWith(Prefix, StringComparison.Ordinal) ? path[Prefix.Length..] : path;
            int rank = (int)a.shape[0];
            double scale = config.AlphaFor(path) / (config.UseRankStabilizedScaling ? Math.Sqrt(rank) : rank);
            Tensor down2 = a.flatten(1), up2 = b.flatten(1);
            // ‖B·A‖² = ⟨Bᵀ·B, A·Aᵀ⟩ needs no matrix of the weight's size. Factors in blocks have no such product.
            double delta = up2.shape[1] == rank ? Math.Sqrt(Math.Max(0, up2.t().matmul(up2).mul(down2.matmul(down2.t())).sum().item<double>())) : double.NaN;
            layers.Add(new AdapterLayerRow(path, rank, scale, Norm(down2), Norm(up2), Math.Abs(scale) * delta));
        }
        return layers;
    }

    private static double Norm(Tensor tensor) => Math.Sqrt(tensor.square().sum().item<double>());
}
