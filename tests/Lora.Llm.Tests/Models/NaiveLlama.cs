namespace Lora.Llm.Tests.Models;

/// <summary>A Llama restated in float64 with plain loops: keys and values repeated for each query head, one position at a time.</summary>
internal sealed class NaiveLlama(LlamaModel model)
{
    private readonly LlamaConfig _config = model.Config;
    private readonly Dictionary<string, double[]> _weights = model.named_parameters().ToDictionary(p => p.name, p => TinyLlama.Values(p.parameter));

    /// <summary>The logits of one text, by position and token. Where <paramref name="real"/> is false there is padding, which takes no position.</summary>
    public double[][] Logits(long[] ids, bool[]? real = null)
    {
        real ??= [.. ids.Select(_ => true)];
        int[] positions = [.. ids.Select((_, i) => Math.Max(0, real.Take(i + 1).Count(r => r) - 1))];
        double[][] x = [.. ids.Select(id => Row("model.embed_tokens.weight", (int)id, _config.HiddenSize))];
        for (int layer = 0; layer < _config.Layers; layer++)
        {
            string path = $"model.layers.{layer}";
            x = Add(x, Attention($"{path}.self_attn", [.. x.Select(row => Norm($"{path}.input_layernorm", row))], positions, real));
            x = Add(x, [.. x.Select(row => Mlp($"{path}.mlp", Norm($"{path}.post_attention_layernorm", row)))]);
        }
        string head = _config.TieEmbeddings ? "model.embed_tokens" : "lm_head";
        return [.. x.Select(row => Linear(head, Norm("model.norm", row)))];
    }

    private double[][] Attention(string path, double[][] x, int[] positions, bool[] real)
    {
        int width = _config.HeadDimension, groups = _config.Heads / _config.KeyValueHeads;
        double[][] queries = [.. x.Select((row, i) => Turned(Linear($"{path}.q_proj", row), positions[i]))];
        double[][] keys = [.. x.Select((row, i) => Turned(Linear($"{path}.k_proj", row), positions[i]))];
        double[][] values = [.. x.Select(row => Linear($"{path}.v_proj", row))];
        var result = new double[x.Length][];
        for (int i = 0; i < x.Length; i++)
        {
            var mixed = new double[_config.Heads * width];
            for (int head = 0; head < _config.Heads; head++)
            {
                int shared = head / groups * width;
                int[] seen = [.. Enumerable.Range(0, i + 1).Where(j => real[j])];
                double[] scores = [.. seen.Select(j => Enumerable.Range(0, width).Sum(c => queries[i][head * width + c] * keys[j][shared + c]) / Math.Sqrt(width))];
                double largest = scores.DefaultIfEmpty().Max(), sum = scores.Sum(s => Math.Exp(s - largest));
                foreach ((int at, int j) in seen.Index())
                    for (int c = 0; c < width; c++) mixed[head * width + c] += Math.Exp(scores[at] - largest) / sum * values[j][shared + c];
            }
            result[i] = Linear($"{path}.o_proj", mixed);
        }
        return result;
    }

    private double[] Turned(double[] x, int position)
    {
        int width = _config.HeadDimension, half = width / 2;
        double[] frequencies = _config.Rope.Frequencies(width), result = new double[x.Length];
        for (int i = 0; i < x.Length; i++)
        {
            int c = i % width;
            double angle = position * frequencies[c % half], other = c < half ? -x[i + half] : x[i - half];
            result[i] = x[i] * Math.Cos(angle) + other * Math.Sin(angle);
        }
        return result;
    }

    private double[] Mlp(string path, double[] x)
    {
        double[] up = Linear($"{path}.up_proj", x);
        return Linear($"{path}.down_proj", [.. Linear($"{path}.gate_proj", x).Select((g, i) => g / (1 + Math.Exp(-g)) * up[i])]);
    }

    private double[] Norm(string path, double[] x)
    {
        double scale = 1 / Math.Sqrt(x.Average(v => v * v) + _config.NormEpsilon);
        double[] weight = _weights[$"{path}.weight"];
        return [.. x.Select((v, i) => v * scale * weight[i])];
    }

    private double[] Linear(string path, double[] x)
    {
        double[] weight = _weights[$"{path}.weight"];
        double[]? bias = _weights.GetValueOrDefault($"{path}.bias");
        return [.. Enumerable.Range(0, weight.Length / x.Length).Select(o => Enumerable.Range(0, x.Length).Sum(i => weight[o * x.Length + i] * x[i]) + (bias?[o] ?? 0))];
    }

    private double[] Row(string name, int row, int width) => _weights[name][(row * width)..((row + 1) * width)];

    private static double[][] Add(double[][] a, double[][] b) => [.. a.Select((row, i) => row.Select((v, c) => v + b[i][c]).ToArray())];
}
