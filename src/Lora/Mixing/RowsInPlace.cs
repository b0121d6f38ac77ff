using Lora.Layers;
using static TorchSharp.torch;

namespace Lora.Mixing;

/// <summary>
/// Adds the terms of linear adapters to their rows in place with libtorch's products, for inference on a CPU where <see cref="RowsInCode"/> does not. Rows at
/// equal distances (one sample of many tokens, neighbours, every G-th row) are read and written where they lie, since a product takes strided rows as they are;
/// others are copied out and added back.
/// </summary>
internal static class RowsInPlace
{
    // Stretches of fewer rows are slower as products of their own than copied together.
    private const int ShortestRun = 32;

    internal static bool CanWriteTo(Tensor sum) => sum.dtype is ScalarType.Float32 or ScalarType.Float64 && sum.is_contiguous() && sum.numel() > 0;

    internal static Tensor Add(Tensor sum, Tensor input, RowSelection selection, LinearAdapter[] adapters)
    {
        long[] shape = input.shape;
        long tokens = 1;
        for (int i = 1; i < shape.Length - 1; i++) tokens *= shape[i];
        using Tensor x = input.reshape(-1, shape[^1]), y = sum.view(-1, sum.shape[^1]);
        if (tokens == 1 && selection.Turns is long turns)
        {
            AddInTurns(y, x, turns, selection, adapters);
            return sum;
        }
        for (int g = 0; g < adapters.Length; g++)
        {
            RowGroup group = selection.Groups[g];
            if (group.IsRegular && (tokens == 1 || group.Whole.Step == 1)) AddTo(y, x, group.Whole, tokens, adapters[g]);
            else if (group.Rows.Length * tokens >= ShortestRun * group.Runs.Count)
                foreach (RowRun run in group.Runs) AddTo(y, x, run, tokens, adapters[g]);
            else AddGathered(sum, input, selection.Index(group, input.device), adapters[g]);
        }
        return sum;
    }

    // All views at once: each made by itself costs as much as a small product.
    private static void AddInTurns(Tensor y, Tensor x, long turns, RowSelection selection, LinearAdapter[] adapters)
    {
        using Tensor from = x.view(-1, turns, x.shape[1]), to = y.view(-1, turns, y.shape[1]);
        Tensor[] inputs = from.unbind(1), outputs = to.unbind(1);
        var narrow = new Tensor[adapters.Length];
        float[] scales = new float[adapters.Length];
        for (int g = 0; g < adapters.Length; g++) narrow[g] = Narrow(inputs[selection.Groups[g].Whole.Start], adapters[g], out scales[g]);
        for (int g = 0; g < adapters.Length; g++) outputs[selection.Groups[g].Whole.Start].addmm_(narrow[g], adapters[g].Up, 1, scales[g]);
        foreach (Tensor tensor in (IEnumerable<Tensor>)[.. inputs, .. outputs, .. narrow]) tensor.Dispose();
    }

    private static void AddTo(Tensor y, Tensor x, RowRun run, long tokens, LinearAdapter adapter)
    {
        using Tensor from = View(x, run, tokens), to = View(y, run, tokens), narrow = Narrow(from, adapter, out float scale);
        to.addmm_(narrow, adapter.Up, 1, scale);
    }

    private static void AddGathered(Tensor sum, Tensor input, Tensor index, LinearAdapter adapter)
    {
        using Tensor rows = input.index_select(0, index), narrow = Narrow(rows, adapter, out float scale), term = nn.functional.linear(narrow, adapter.B);
        sum.index_add_(0, index, term, scale);
    }

    private static Tensor View(Tensor rows, RowRun run, long tokens) => run.Step == 1
        ? rows.narrow(0, run.Start * tokens, run.Count * tokens)
        : rows.slice(0, run.Start, run.Start + ((run.Count - 1) * run.Step) + 1, run.Step);

    // Products take their factor as a float: one that a float does not hold goes into the narrow tensor.
    private static Tensor Narrow(Tensor rows, LoraAdapter adapter, out float scale)
    {
        Tensor prepared = adapter.Prepared(rows);
        Tensor narrow = nn.functional.linear(prepared, adapter.A);
        if (!ReferenceEquals(prepared, rows)) prepared.Dispose();
        scale = (float)adapter.Scale;
        if (scale == adapter.Scale) return narrow;
        scale = 1;
        return narrow.mul_(adapter.Scale);
    }
}
