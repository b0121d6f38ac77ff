using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Layers.OnePass;

/// <summary>
/// One pass through several frozen linear layers that read the same x, each with one adapter or none: yᵢ = Wᵢ·x + bᵢ + Bᵢ·(sᵢ·Aᵢ·x). All Aᵢ lie below each other for one
/// narrow product forward, one for all dAᵢ and one for what they add to dx, into which the wide products of the layers are added as well.
/// </summary>
/// <param name="members">The layers; none of them drops elements of x.</param>
internal sealed class SharedInputPass(IReadOnlyList<SharedInputMember> members)
{
    private readonly double[] _scales = [.. members.Select(member => member.Adapter?.Scale ?? 0)];
    private readonly bool[] _isTransposed = [.. members.Select(member => member.View.IsTransposed)];

    /// <summary>Computes all yᵢ.</summary>
    /// <param name="input">x, shape <c>[…, in]</c>.</param>
    /// <param name="a">Aᵢ, shape <c>[rᵢ, in]</c>; null where a layer has no adapter, as in what follows.</param>
    /// <param name="b">Bᵢ, shape <c>[outᵢ, rᵢ]</c>.</param>
    /// <returns>yᵢ, shape <c>[…, outᵢ]</c>, and sᵢ·Aᵢ·x for all i side by side, shape <c>[rows, Σ rᵢ]</c>. They belong to the current dispose scope.</returns>
    internal (List<Tensor> Outputs, Tensor Narrow) Forward(Tensor input, IReadOnlyList<Tensor?> a, IReadOnlyList<Tensor?> b)
    {
        using var scope = NewDisposeScope();
        Tensor narrow = LinearPass.Rows(input).mm(Below(a).t());
        Scale(narrow, a);
        Tensor?[] parts = Columns(narrow, a);
        List<Tensor> outputs = [];
        // A layer's two products follow each other, while its output is still in the cache.
        for (int i = 0; i < members.Count; i++)
        {
            Tensor output = members[i].Layer.call(input);
            if (parts[i] is Tensor part) output.view(-1, output.shape[^1]).addmm_(part, b[i]!.t());
            outputs.Add(output.MoveToOuterDisposeScope());
        }
        return (outputs, narrow.MoveToOuterDisposeScope());
    }

    /// <summary>The gradients of x and of all Aᵢ and Bᵢ; null for those that nobody needs.</summary>
    /// <param name="input">x; null where no Aᵢ trains.</param>
    /// <param name="narrow">The narrow products of <see cref="Forward"/>.</param>
    /// <param name="weights">Wᵢ.</param>
    /// <param name="a">Aᵢ.</param>
    /// <param name="b">Bᵢ.</param>
    /// <param name="gradients">dyᵢ; invalid for an output that was not used.</param>
    /// <param name="needsInput">Whether x needs a gradient.</param>
    internal (Tensor? Input, Tensor?[] A, Tensor?[] B) Backward(
        Tensor? input, Tensor narrow, IReadOnlyList<Tensor> weights, IReadOnlyList<Tensor?> a, IReadOnlyList<Tensor?> b, IReadOnlyList<Tensor> gradients, bool needsInput)
    {
        // Where somebody differentiates the gradient itself, each product has to be a tensor of its own that depends on A and x.
        bool again = is_grad_enabled();
        Tensor?[] rows = [.. gradients.Select(gradient => gradient.IsInvalid ? null : LinearPass.Rows(gradient))];
        // Of an output that was not used, the adapter is left out.
        Tensor?[] used = [.. a.Select((factor, i) => rows[i] is null ? null : factor)];
        Tensor?[] parts = Columns(again && input is not null ? Again(input, a) : narrow, a), ofA = new Tensor?[a.Count], ofB = new Tensor?[a.Count];
        Tensor? ofNarrow = again ? null : Room(rows, used), sum = null;
        Tensor?[] ofParts = ofNarrow is null ? new Tensor?[a.Count] : Columns(ofNarrow, used);
        // All that is done with a layer's gradient follows each other, while it is still in the cache.
        for (int i = 0; i < rows.Length; i++)
        {
            if (rows[i] is not Tensor row) continue;
            if (used[i] is not null)
            {
                if (b[i]!.requires_grad) ofB[i] = row.t().mm(parts[i]!);
                // With β = 0 nothing is read from where the product goes.
                if (again) ofParts[i] = row.mm(b[i]!).mul(_scales[i]);
                else ofParts[i]!.addmm_(row, b[i]!, beta: 0);
            }
            if (needsInput) Add(row, _isTransposed[i] ? weights[i].t() : weights[i]);
        }
        if (again) ofNarrow = ofParts.OfType<Tensor>().ToArray() is { Length: > 0 } all ? cat(all, 1) : null;
        else if (ofNarrow is not null) Scale(ofNarrow, used);
        if (ofNarrow is null) return (Shaped(sum), ofA, ofB);

        if (needsInput) Add(ofNarrow, Below(used));
        if (input is not null)
        {
            // All dAᵢ below each other, which are columns of the transpose.
            Tensor?[] each = Columns(ofNarrow.t().mm(LinearPass.Rows(input)).t(), used);
            for (int i = 0; i < each.Length; i++)
                if (used[i] is { requires_grad: true }) ofA[i] = each[i]!.t();
        }
        return (Shaped(sum), ofA, ofB);

        // Σ dyᵢ·Wᵢ + Σ dsᵢ·Aᵢ, each added where the sum lies.
        void Add(Tensor left, Tensor right) => sum = sum is null ? left.mm(right) : again ? sum.addmm(left, right) : sum.addmm_(left, right);

        Tensor? Shaped(Tensor? wide) => wide?.view([.. gradients.First(gradient => !gradient.IsInvalid).shape[..^1], wide.shape[1]]);
    }

    // For sᵢ·dyᵢ·Bᵢ of all i side by side, shape [rows, Σ rᵢ]; null where there is none.
    private static Tensor? Room(Tensor?[] rows, Tensor?[] a)
    {
        int first = Array.FindIndex(a, factor => factor is not null);
        return first < 0 ? null : empty([rows[first]!.shape[0], a.Sum(factor => factor?.shape[0] ?? 0)], dtype: rows[first]!.dtype, device: rows[first]!.device);
    }

    private Tensor Again(Tensor input, IReadOnlyList<Tensor?> a) =>
        cat([.. Enumerable.Range(0, a.Count).Where(i => a[i] is not null).Select(i => LinearPass.Rows(input).mm(a[i]!.t()).mul(_scales[i]))], 1);

    private void Scale(Tensor narrow, IReadOnlyList<Tensor?> a)
    {
        double[] scales = [.. _scales.Where((_, i) => a[i] is not null).Distinct()];
        if (scales.Length == 1)
        {
            using Scalar factor = scales[0];
            narrow.mul_(factor);
            return;
        }
        Tensor?[] parts = Columns(narrow, a);
        for (int i = 0; i < parts.Length; i++)
        {
            using Scalar factor = _scales[i];
            parts[i]?.mul_(factor);
        }
    }

    // The columns that belong to each layer with an adapter.
    private static Tensor?[] Columns(Tensor narrow, IReadOnlyList<Tensor?> a)
    {
        long next = 0;
        var columns = new Tensor?[a.Count];
        for (int i = 0; i < columns.Length; i++)
        {
            if (a[i] is not Tensor factor) continue;
            columns[i] = narrow.narrow(1, next, factor.shape[0]);
            next += factor.shape[0];
        }
        return columns;
    }

    private static Tensor Below(IReadOnlyList<Tensor?> a) => a.OfType<Tensor>().ToArray() is [Tensor only] ? only : cat([.. a.OfType<Tensor>()], 0);
}
