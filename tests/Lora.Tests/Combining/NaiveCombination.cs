using Lora.Layers;
using static TorchSharp.torch;

namespace Lora.Tests.Combining;

/// <summary>The methods restated element by element in float64, once as they should be and once as PEFT has them.</summary>
internal sealed class NaiveCombination(string method, CombineOptions options)
{
    private bool Peft => options.PeftCompatible;

    /// <summary>ΔW of the combination, <c>[out, in · kernel]</c>, before anything is cut off, times the scale that the new adapter has.</summary>
    public Tensor Delta((LoraAdapter Adapter, double Weight)[] sources, int newRank)
    {
        double[] weights = [.. sources.Select(source => source.Weight * source.Adapter.Scale)];
        Tensor[] a = [.. sources.Select(source => source.Adapter.A.detach().to(ScalarType.Float64).cpu().flatten(1))], b = [.. sources.Select(source => source.Adapter.B.detach().to(ScalarType.Float64).cpu().flatten(1))];
        // PEFT copies the first adapter's use_rslora and sets alpha to the rank.
        double scale = Peft && sources[0].Adapter.Scale != sources[0].Adapter.Alpha / sources[0].Adapter.Rank ? Math.Sqrt(newRank) : 1;
        if (method == "cat")
        {
            Tensor sum = zeros([b[0].shape[0], a[0].shape[1]], ScalarType.Float64);
            for (int i = 0; i < a.Length; i++) sum = sum.add(b[i].matmul(a[i]).mul(weights[i]));
            return sum.mul(scale);
        }
        if (!method.EndsWith("svd", StringComparison.Ordinal))
        {
            Tensor newA = Blend(a, [.. weights.Select(t => Math.Sign(t) * Math.Sqrt(Math.Abs(t)))]), newB = Blend(b, [.. weights.Select(t => Math.Sqrt(Math.Abs(t)))]);
            return newB.matmul(newA).mul(scale);
        }
        Tensor[] deltas = [.. a.Select((_, i) => b[i].matmul(a[i]).mul(sources[i].Adapter.Scale))];
        return Blend(deltas, Peft ? weights : [.. sources.Select(source => source.Weight)]).mul(scale);
    }

    /// <summary>What is nearest to a matrix at a rank.</summary>
    public static Tensor Best(Tensor whole, int rank)
    {
        (Tensor u, Tensor s, Tensor vh) = linalg.svd(whole, fullMatrices: false);
        long kept = Math.Min(rank, s.shape[0]);
        return u.narrow(1, 0, kept).mul(s.narrow(0, 0, kept)).matmul(vh.narrow(0, 0, kept));
    }

    private Tensor Blend(Tensor[] tensors, double[] weights)
    {
        double[][] values = [.. tensors.Select(Blends.Numbers)];
        if (method.StartsWith("ties", StringComparison.Ordinal) || method.StartsWith("magnitude", StringComparison.Ordinal)) values = [.. values.Select(Largest)];
        double[] result = new double[values[0].Length];
        for (int j = 0; j < result.Length; j++)
        {
            double[] given = [.. values.Select(value => value[j])], weighted = [.. given.Select((value, i) => value * weights[i])];
            result[j] = method.Contains("ties", StringComparison.Ordinal) ? Elected(Peft ? given : weighted, weighted) : weighted.Sum();
        }
        return tensor(result, tensors[0].shape);
    }

    private double Elected(double[] voters, double[] weighted)
    {
        double vote = voters.Sum(value => options.MajoritySign == MajoritySign.Total ? value : Math.Sign(value));
        int[] agreeing = [.. Enumerable.Range(0, voters.Length).Where(i => vote >= 0 ? voters[i] > 0 : voters[i] < 0)];
        return agreeing.Sum(i => weighted[i]) / Math.Max(1, agreeing.Length);
    }

    private double[] Largest(double[] values)
    {
        if (options.Density >= 1) return values;
        double product = options.Density!.Value * values.Length;
        int kept = (int)(Peft ? product : Math.Round(product, 9));
        HashSet<int> places = [.. Enumerable.Range(0, values.Length).OrderByDescending(i => Math.Abs(values[i])).Take(kept)];
        return [.. values.Select((value, i) => places.Contains(i) ? value : 0)];
    }
}
