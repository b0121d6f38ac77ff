using Lora.Injection;
using Lora.Layers;
using Lora.Mixing;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Parts;

/// <summary>
/// A module at which the samples of a batch part: those of each adapter that has tensors of its own go through the module with these, the others through
/// the base model's, and all come together again in their order. It can be differentiated.
/// </summary>
/// <param name="path">The module's path.</param>
/// <param name="module">The module.</param>
/// <param name="batch">Which adapter each sample uses.</param>
/// <param name="layer">The adapted layer whose base layer the module is, or null.</param>
/// <param name="layers">All adapted layers of the model.</param>
/// <param name="round">What all splits of a batch share.</param>
internal sealed class SampleSplit(string path, nn.Module<Tensor, Tensor> module, BatchAdapters batch, LoraLayer? layer, IReadOnlyList<AdapterLayer> layers, SampleSplit.Round round) : IDisposable
{
    private readonly List<(RowGroup Rows, IReadOnlyList<Action> Own, BatchAdapters Alone)> _copies = [];
    private readonly List<(RowGroup Rows, Func<Tensor, Tensor, Tensor> Change)> _changes = [];
    private readonly List<HookRemoval> _hooks = [];
    private readonly LoraLayer? _beside = layer is ILoraLayer { OwnsBase: false } ? layer : null;
    private RowSelection? _sorted;
    private RowGroup? _others;
    private bool _narrows;
    private Tensor? _whole;
    private Tensor? _narrowed;

    /// <summary>Whether samples are on their way through a module by themselves, so that the modules in it have nothing to part.</summary>
    internal sealed class Round
    {
        internal bool IsInside { get; set; }
    }

    internal nn.Module Module => module;

    /// <summary>Adds what the samples of an adapter compute differently. Of its own parameters the first list is the whole.</summary>
    internal void Add(RowGroup rows, SampleChange change)
    {
        if (change.Change is not null) _changes.Add((rows, change.Change));
        else if (!_copies.Exists(copy => copy.Rows == rows)) _copies.Add((rows, change.Own, new BatchAdapters([.. Enumerable.Repeat(rows.Name, rows.Rows.Length)])));
    }

    /// <summary>Makes the module part the samples, or no longer.</summary>
    internal void SetActive(bool active)
    {
        if (active == _hooks.Count > 0) return;
        if (!active)
        {
            foreach (HookRemoval hook in _hooks) hook.Dispose();
            _hooks.Clear();
            if (layer is not null) layer.HooksThatKeepNothing--;
            Forget();
            return;
        }
        Sort();
        var hooks = HookCount.OfOutput(module);
        if (layer is not null) layer.HooksThatKeepNothing++;
        // The samples of the adapters need not go through the base model's weights, where nobody else would notice.
        _narrows = _copies.Count > 0 && _beside is null && hooks.Current == 0 && !module.named_children().Any() && !module.named_buffers().Any();
        _hooks.Add(new HookRemoval(module.register_forward_pre_hook((_, input) => Before(input)!).remove));
        _hooks.Add(new HookRemoval(module.register_forward_hook((_, input, output) =>
        {
            if (round.IsInside) return null!;
            using var scope = NewDisposeScope();
            Tensor result = After(_whole ?? input, output).MoveToOuterDisposeScope();
            Forget();
            // Nobody else has it, unless somebody's hook has seen it.
            if (hooks.Current == (_beside is null ? 1 : 2)) output.Dispose();
            return result;
        }).remove));
    }

    public void Dispose()
    {
        SetActive(false);
        foreach ((_, _, BatchAdapters alone) in _copies) alone.Dispose();
        _sorted?.Dispose();
        _sorted = null;
    }

    private void Sort()
    {
        if (_sorted is not null) return;
        var own = _copies.SelectMany(copy => copy.Rows.Rows).ToHashSet();
        long[] others = [.. Enumerable.Range(0, batch.Count).Select(row => (long)row).Where(row => !own.Contains(row))];
        _others = others.Length > 0 ? new RowGroup(LoraModel.BaseAdapter, others) : null;
        IEnumerable<RowGroup> groups = _copies.Select(copy => copy.Rows);
        _sorted = new RowSelection([.. _others is null ? groups : groups.Prepend(_others)], batch.Count);
    }

    private Tensor? Before(Tensor input)
    {
        if (round.IsInside) return null;
        if (!batch.Fits(input)) throw batch.Misfit(path, input);
        if (!_narrows) return null;
        Forget();
        _whole = input;
        // Where there are no others, the module has to be run all the same: for one sample, which is left out afterwards.
        _narrowed = (_others is null ? input.narrow(0, 0, 1) : input.index_select(0, _sorted!.Index(_others, input.device))).DetachFromDisposeScope();
        return _narrowed;
    }

    private Tensor After(Tensor input, Tensor output)
    {
        if (output.dim() == 0 || output.shape[0] != (_narrowed ?? input).shape[0])
            throw new InvalidOperationException($"'{path}' gives [{string.Join(", ", output.shape)}] for [{string.Join(", ", (_narrowed ?? input).shape)}]: the samples of a batch can use different adapters only where its first dimension stays. Run them one adapter after the other, with Use.");
        Tensor result = output;
        if (_copies.Count > 0)
        {
            IEnumerable<Tensor> outputs = _copies.Select(copy => OutputOf(copy.Rows, copy.Own, copy.Alone, input));
            if (_others is not null) outputs = outputs.Prepend(_narrows ? output : output.index_select(0, _sorted!.Index(_others, output.device)));
            result = _sorted!.Restore(cat([.. outputs], 0));
        }
        foreach ((RowGroup rows, Func<Tensor, Tensor, Tensor> change) in _changes)
        {
            Tensor index = _sorted!.Index(rows, output.device);
            result = result.index_copy(0, index, change(input.index_select(0, index), result.index_select(0, index)));
        }
        return result;
    }

    // By forward and not by call: the module's hooks, those of this class among them, see the batch once and not each adapter's part of it. The modules inside are called.
    private Tensor OutputOf(RowGroup rows, IReadOnlyList<Action> own, BatchAdapters alone, Tensor input)
    {
        Tensor part = input.index_select(0, _sorted!.Index(rows, input.device)), output;
        foreach (Action exchange in own) exchange();
        LetInside(alone);
        round.IsInside = true;
        try
        {
            output = module.forward(part);
        }
        finally
        {
            round.IsInside = false;
            LetInside(batch);
            foreach (Action exchange in own) exchange();
        }
        // A layer beside the module has added the terms to the output that is given up here.
        return _beside?.Adapters.Find(rows.Name) is LoraAdapter adapter ? output.add(adapter.Term(part)).to(output.dtype) : output;
    }

    // Adapted layers in the module meet these samples only.
    private void LetInside(BatchAdapters samples)
    {
        foreach (AdapterLayer inner in layers.Where(inner => SampleParts.IsInside(inner.Path, path))) inner.Layer.Adapters.Mix = samples.For(inner.Path, inner.Layer.Adapters);
    }

    private void Forget()
    {
        _whole = null;
        _narrowed?.Dispose();
        _narrowed = null;
    }
}
