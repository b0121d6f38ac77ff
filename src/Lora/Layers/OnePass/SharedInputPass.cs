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
        List<Tensor> outputs = [.. members.Select(member => member.Layer.call(input))];
        using var scope = NewDisposeScope();
        Tensor narrow = Rows(input).mm(Below(a).t());
        Scale(narrow, a);
        foreach ((int i, Tensor part) in Parts(narrow, a)) outputs[i].view(-1, outputs[i].shape[^1]).addmm_(part, b[i]!.t());
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
        Tensor?[] rows = [.. gradients.Select(gradient => gradient.IsInvalid ? null : Rows(gradient))];
        // Of an output that was not used, the adapter is left out.
        Tensor?[] used = [.. a.Select((factor, i) => rows[i] is null ? null : factor)];
        Tensor?[] ofA = new Tensor?[a.Count], ofB = new Tensor?[a.Count];
        foreach ((int i, Tensor part) in Parts(again && input is not null ? Again(input, a) : narrow, a))
            if (rows[i] is Tensor row && b[i]!.requires_grad) ofB[i] = row.t().mm(part);

        Tensor? ofNarrow = used.Any(factor => factor is not null) ? OfNarrow(rows, used, b, again) : null;
        if (ofNarrow is not null && input is not null)
        {
            Tensor all = ofNarrow.t().mm(Rows(input));
            int next = 0;
            for (int i = 0; i < used.Length; i++)
            {
                if (used[i] is not Tensor factor) continue;
                if (factor.requires_grad) ofA[i] = all.narrow(0, next, factor.shape[0]);
                next += (int)factor.shape[0];
            }
        }
        return (needsInput ? Shaped(OfInput(rows, weights, ofNarrow, used, again)) : null, ofA, ofB);

        Tensor? Shaped(Tensor? wide) => wide?.view([.. gradients.First(gradient => !gradient.IsInvalid).shape[..^1], wide.shape[1]]);
    }

    // Σ dyᵢ·Wᵢ + Σ dsᵢ·Aᵢ, each added where the sum lies.
    private Tensor? OfInput(Tensor?[] rows, IReadOnlyList<Tensor> weights, Tensor? ofNarrow, Tensor?[] a, bool again)
    {
        Tensor? sum = null;
        for (int i = 0; i < rows.Length; i++)
        {
            if (rows[i] is Tensor row) Add(row, _isTransposed[i] ? weights[i].t() : weights[i]);
        }
        if (ofNarrow is not null) Add(ofNarrow, Below(a));
        return sum;

        void Add(Tensor left, Tensor right) => sum = sum is null ? left.mm(right) : again ? sum.addmm(left, right) : sum.addmm_(left, right);
    }

    // sᵢ·dyᵢ·Bᵢ for all i side by side, shape [rows, Σ rᵢ].
    private Tensor OfNarrow(Tensor?[] rows, Tensor?[] a, IReadOnlyList<Tensor?> b, bool again)
    {
        if (again) return cat([.. Used().Select(i => rows[i]!.mm(b[i]!).mul(_scales[i]))], 1);
        Tensor first = rows[Used().First()]!;
        Tensor all = empty([first.shape[0], a.Sum(factor => factor?.shape[0] ?? 0)], dtype: first.dtype, device: first.device);
        // With β = 0 nothing is read from where the product goes.
        foreach ((int i, Tensor part) in Parts(all, a)) part.addmm_(rows[i]!, b[i]!, beta: 0);
        Scale(all, a);
        return all;

        IEnumerable<int> Used() => Enumerable.Range(0, a.Length).Where(i => a[i] is not null);
    }

    private Tensor Again(Tensor input, IReadOnlyList<Tensor?> a) =>
        cat([.. Enumerable.Range(0, a.Count).Where(i => a[i] is not null).Select(i => Rows(input).mm(a[i]!.t()).mul(_scales[i]))], 1);

    private void Scale(Tensor narrow, IReadOnlyList<Tensor?> a)
    {
        double[] scales = [.. _scales.Where((_, i) => a[i] is not null).Distinct()];
        if (scales.Length == 1)
        {
            using Scalar factor = scales[0];
            narrow.mul_(factor);
            return;
        }
        foreach ((int i, Tensor part) in Parts(narrow, a))
        {
            using Scalar factor = _scales[i];
            part.mul_(factor);
        }
    }

    // The columns that belong to each layer with an adapter.
    private static IEnumerable<(int Member, Tensor Part)> Parts(Tensor narrow, IReadOnlyList<Tensor?> a)
    {
        long next = 0;
        for (int i = 0; i < a.Count; i++)
        {
            if (a[i] is not Tensor factor) continue;
            yield return (i, narrow.narrow(1, next, factor.shape[0]));
            next += factor.shape[0];
        }
    }

    private static Tensor Below(IReadOnlyList<Tensor?> a) => a.OfType<Tensor>().ToArray() is [Tensor only] ? only : cat([.. a.OfType<Tensor>()], 0);

    private static Tensor Rows(Tensor wide) => wide.reshape(-1, wide.shape[^1]);
}
