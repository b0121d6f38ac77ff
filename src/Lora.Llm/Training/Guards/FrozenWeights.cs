using System.Buffers.Binary;
using System.Security.Cryptography;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Llm.Training.Guards;

/// <summary>Remembers some numbers of every frozen weight, to find out whether one changes.</summary>
/// <param name="weights">The weights by name.</param>
internal sealed class FrozenWeights(IReadOnlyList<(string Name, Parameter Parameter)> weights)
{
    // Of each tensor; an optimizer or a merge that touches a tensor changes nearly all of its numbers.
    private const int Samples = 32;

    private readonly double[][] _before = Sample(weights);

    /// <summary>The names of the weights whose numbers are others than at the start.</summary>
    internal IReadOnlyList<string> Changed()
    {
        double[][] now = Sample(weights);
        // By bits, so that a NaN equals itself.
        return [.. weights.Where((_, i) => !now[i].Select(BitConverter.DoubleToInt64Bits).SequenceEqual(_before[i].Select(BitConverter.DoubleToInt64Bits))).Select(weight => weight.Name)];
    }

    /// <summary>A hash of the names and the remembered numbers of some of them.</summary>
    internal string Fingerprint(Func<string, bool> chosen)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] number = new byte[8];
        foreach (((string name, _), double[] sample) in weights.Zip(_before).Where(pair => chosen(pair.First.Name)))
        {
            hash.AppendData(System.Text.Encoding.UTF8.GetBytes(name));
            foreach (double value in sample)
            {
                BinaryPrimitives.WriteDoubleLittleEndian(number, value);
                hash.AppendData(number);
            }
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset())[..16];
    }

    // One copy to the CPU for each device, however many weights there are.
    private static double[][] Sample(IReadOnlyList<(string Name, Parameter Parameter)> weights)
    {
        using var noGrad = no_grad();
        var samples = new double[weights.Count][];
        foreach (var place in weights.Select((weight, i) => (weight.Parameter, Index: i)).GroupBy(weight => weight.Parameter.device.ToString()))
        {
            using var scope = NewDisposeScope();
            (Parameter Parameter, int Index)[] members = [.. place];
            Tensor[] parts = [.. members.Select(member => Part(member.Parameter))];
            double[] all = cat(parts).cpu().data<double>().ToArray();
            int start = 0;
            for (int i = 0; i < members.Length; i++)
            {
                samples[members[i].Index] = all[start..(start + (int)parts[i].numel())];
                start += (int)parts[i].numel();
            }
        }
        return samples;
    }

    // An odd stride, so that it is not always the same column.
    private static Tensor Part(Parameter weight)
    {
        using var scope = NewDisposeScope();
        Tensor flat = weight.detach().reshape(-1);
        return flat.slice(0, 0, flat.numel(), (flat.numel() / Samples) | 1).to(ScalarType.Float64).MoveToOuterDisposeScope();
    }
}
