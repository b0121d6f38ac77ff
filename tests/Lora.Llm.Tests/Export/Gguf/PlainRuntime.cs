namespace Lora.Llm.Tests.Export.Gguf;

/// <summary>
/// What llama.cpp computes of a GGUF file, restated in float64 from the file's own keys and tensors: llama turns neighbouring components of queries and keys, qwen2 and qwen3 those half a head apart, gpt2 has
/// positions of its own. An adapter's file adds scale · B(Ax) to each product, with scale = user scale · alpha / rank.
/// </summary>
internal sealed class PlainRuntime(PlainGguf file, PlainGguf? adapter = null, double userScale = 1)
{
    private readonly string _kind = (string)file.Values["general.architecture"];
    private readonly Dictionary<string, double[]> _numbers = [];

    /// <summary>The logits of each token of a text.</summary>
    public double[][] Logits(int[] ids)
    {
        int width = Count("embedding_length"), layers = Count("block_count");
        double[][] x = [.. ids.Select((id, position) => Embed(id, position, width))];
        for (int layer = 0; layer < layers; layer++)
        {
            string block = $"blk.{layer}.";
            double[][] attended = Attend(block, [.. x.Select(row => Norm($"{block}attn_norm", row))]);
            x = Sum(x, [.. attended.Select(row => Product($"{block}attn_output", row))]);
            x = Sum(x, [.. x.Select(row => FeedForward(block, Norm($"{block}ffn_norm", row)))]);
        }
        string head = file.Tensors.ContainsKey("output.weight") ? "output" : "token_embd";
        return [.. x.Select(row => Product(head, Norm("output_norm", row)))];
    }

    private double[] Embed(int id, int position, int width)
    {
        double[] row = Numbers("token_embd.weight")[(id * width)..((id + 1) * width)];
        if (_kind == "gpt2") row = [.. row.Zip(Numbers("position_embd.weight")[(position * width)..((position + 1) * width)], (a, b) => a + b)];
        if (adapter is null || !adapter.Tensors.ContainsKey("token_embd.weight.lora_a")) return row;
        // get_rows of A, then B of that.
        int rank = (int)adapter.Tensors["token_embd.weight.lora_b"].Sizes[0];
        double[] a = adapter.Numbers("token_embd.weight.lora_a")[(id * rank)..((id + 1) * rank)];
        double[] delta = Times(adapter.Numbers("token_embd.weight.lora_b"), a);
        return [.. row.Zip(delta, (value, d) => value + d * Scale("token_embd"))];
    }

    private double[][] Attend(string block, double[][] x)
    {
        int heads = Count("attention.head_count"), keyHeads = _kind == "gpt2" ? heads : Count("attention.head_count_kv"), width = _kind == "gpt2" ? Count("embedding_length") / heads : Count("attention.key_length");
        double[][] q, k, v;
        if (_kind == "gpt2")
        {
            double[][] all = [.. x.Select(row => Product($"{block}attn_qkv", row))];
            int size = heads * width;
            (q, k, v) = ([.. all.Select(row => row[..size])], [.. all.Select(row => row[size..(2 * size)])], [.. all.Select(row => row[(2 * size)..])]);
        }
        else
        {
            q = [.. x.Select((row, position) => Turn(NormHeads($"{block}attn_q_norm", Product($"{block}attn_q", row), width), position, width))];
            k = [.. x.Select((row, position) => Turn(NormHeads($"{block}attn_k_norm", Product($"{block}attn_k", row), width), position, width))];
            v = [.. x.Select(row => Product($"{block}attn_v", row))];
        }
        var result = new double[x.Length][];
        for (int t = 0; t < x.Length; t++)
        {
            result[t] = new double[heads * width];
            for (int head = 0; head < heads; head++)
            {
                int own = head * width, shared = head / (heads / keyHeads) * width;
                double[] scores = [.. Enumerable.Range(0, t + 1).Select(s => Enumerable.Range(0, width).Sum(c => q[t][own + c] * k[s][shared + c]) / Math.Sqrt(width))];
                double[] weights = [.. scores.Select(score => Math.Exp(score - scores.Max()))];
                for (int c = 0; c < width; c++) result[t][own + c] = Enumerable.Range(0, t + 1).Sum(s => weights[s] * v[s][shared + c]) / weights.Sum();
            }
        }
        return result;
    }

    private double[] Turn(double[] x, int position, int width)
    {
        int turned = Count("rope.dimension_count");
        double[]? factors = file.Tensors.ContainsKey("rope_freqs.weight") ? Numbers("rope_freqs.weight") : null;
        double linear = file.Values.ContainsKey($"{_kind}.rope.scaling.factor") ? file.Number($"{_kind}.rope.scaling.factor") : 1;
        var result = (double[])x.Clone();
        for (int head = 0; head < x.Length; head += width)
        {
            for (int pair = 0; pair < turned / 2; pair++)
            {
                double angle = position / linear * Math.Pow(file.Number($"{_kind}.rope.freq_base"), -2.0 * pair / turned) / (factors?[pair] ?? 1);
                (int a, int b) = _kind == "llama" ? (head + 2 * pair, head + 2 * pair + 1) : (head + pair, head + pair + turned / 2);
                (result[a], result[b]) = (x[a] * Math.Cos(angle) - x[b] * Math.Sin(angle), x[a] * Math.Sin(angle) + x[b] * Math.Cos(angle));
            }
        }
        return result;
    }

    private double[] FeedForward(string block, double[] x)
    {
        double[] up = Product($"{block}ffn_up", x);
        double[] inner = _kind == "gpt2"
            ? [.. up.Select(u => 0.5 * u * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (u + 0.044715 * u * u * u))))]
            : [.. Product($"{block}ffn_gate", x).Zip(up, (g, u) => g / (1 + Math.Exp(-g)) * u)];
        return Product($"{block}ffn_down", inner);
    }

    private double[] NormHeads(string name, double[] x, int width) =>
        file.Tensors.ContainsKey($"{name}.weight") ? [.. x.Chunk(width).SelectMany(head => Norm(name, head))] : x;

    private double[] Norm(string name, double[] x)
    {
        double mean = _kind == "gpt2" ? x.Average() : 0, epsilon = file.Number($"{_kind}.attention.{(_kind == "gpt2" ? "layer_norm_epsilon" : "layer_norm_rms_epsilon")}");
        double scale = 1 / Math.Sqrt(x.Average(value => (value - mean) * (value - mean)) + epsilon);
        double[] weight = Numbers($"{name}.weight");
        double[]? bias = file.Tensors.ContainsKey($"{name}.bias") ? Numbers($"{name}.bias") : null;
        return [.. x.Select((value, i) => (value - mean) * scale * weight[i] + (bias?[i] ?? 0))];
    }

    private double[] Product(string name, double[] x)
    {
        double[] result = Times(Numbers($"{name}.weight"), x);
        if (file.Tensors.ContainsKey($"{name}.bias")) result = [.. result.Zip(Numbers($"{name}.bias"), (a, b) => a + b)];
        if (adapter is null || name == "token_embd" || !adapter.Tensors.ContainsKey($"{name}.weight.lora_a")) return result;
        Assert.Equal(x.Length, adapter.Tensors[$"{name}.weight.lora_a"].Sizes[0]);
        double[] delta = Times(adapter.Numbers($"{name}.weight.lora_b"), Times(adapter.Numbers($"{name}.weight.lora_a"), x));
        return [.. result.Zip(delta, (value, d) => value + d * Scale(name))];
    }

    private double Scale(string name)
    {
        double alpha = adapter!.Number("adapter.lora.alpha"), rank = adapter.Tensors[$"{name}.weight.lora_b"].Sizes[0];
        return alpha == 0 ? userScale : userScale * alpha / rank;
    }

    private double[] Numbers(string name) => _numbers.TryGetValue(name, out double[]? numbers) ? numbers : _numbers[name] = file.Numbers(name);

    private int Count(string key) => (int)file.Number($"{_kind}.{key}");

    private static double[] Times(double[] matrix, double[] x) => [.. Enumerable.Range(0, matrix.Length / x.Length).Select(row => Enumerable.Range(0, x.Length).Sum(c => matrix[row * x.Length + c] * x[c]))];

    private static double[][] Sum(double[][] a, double[][] b) => [.. a.Zip(b, (left, right) => left.Zip(right, (l, r) => l + r).ToArray())];
}
