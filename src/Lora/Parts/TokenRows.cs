using Lora.Injection;
using Lora.Layers;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Parts;

/// <summary>
/// Rows of an embedding of which the adapter has its own. While it is active they take the place of the embedding's output for their tokens, and of their
/// columns in the logits of a head that shares the weight: the same as if they stood in the weight, without a copy of it.
/// </summary>
internal sealed class TokenRows : AdapterPart
{
    private readonly PlannedRows _planned;
    private readonly List<HookRemoval> _hooks = [];
    private Parameter _rows;
    private Tensor _indices;
    private Tensor _placeOf;
    private Tensor? _originals;

    internal TokenRows(string adapterName, PlannedRows planned)
        : base(adapterName)
    {
        _planned = planned;
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using Parameter weight = planned.Embedding.weight!;
        _indices = tensor(planned.Indices.Select(index => (long)index).ToArray(), device: weight.device).DetachFromDisposeScope();
        // For each token the place of its row, or -1.
        Tensor place = full([weight.shape[0]], -1, dtype: ScalarType.Int64, device: weight.device);
        place.index_copy_(0, _indices, arange(planned.Indices.Count, dtype: ScalarType.Int64, device: weight.device));
        _placeOf = place.DetachFromDisposeScope();
        _rows = new Parameter(weight.detach().index_select(0, _indices).to(AdapterSettings.TypeOver(weight.dtype)), requires_grad: false);
        _rows.DetachFromDisposeScope();
    }

    internal override string Setting => "trainable_token_indices";

    internal override IReadOnlyList<string> Paths => [_planned.Path];

    internal override IReadOnlyList<KeyValuePair<string, Parameter>> FileTensors => [new($"{_planned.Path}.token_adapter.trainable_tokens_delta", Rows)];

    internal override IEnumerable<string> Claims => _planned.Indices.Select(index => $"{_planned.Path}.weight[{index}]");

    internal override IEnumerable<Parameter> Unlisted => [Rows];

    internal override IEnumerable<SampleChange> SampleChanges => _planned.Head is null
        ? [ChangeAt(_planned.Path, _planned.Embedding, WithRows)]
        : [ChangeAt(_planned.Path, _planned.Embedding, WithRows), ChangeAt(_planned.HeadPath, _planned.Head, WithColumns)];

    private Parameter Rows
    {
        get
        {
            Follow();
            return _rows;
        }
    }

    internal override void Merge()
    {
        if (_originals is not null) return;
        Follow();
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using Parameter weight = _planned.Embedding.weight!;
        _originals = weight.detach().index_select(0, _indices).DetachFromDisposeScope();
        weight.index_copy_(0, _indices, _rows.detach().to(weight.dtype));
    }

    internal override void Unmerge()
    {
        if (_originals is null) return;
        Follow();
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using Parameter weight = _planned.Embedding.weight!;
        weight.index_copy_(0, _indices, _originals.to(weight.dtype, weight.device));
        Forget();
    }

    internal override void Keep()
    {
        Merge();
        Dispose();
    }

    public override void Dispose()
    {
        foreach (HookRemoval hook in _hooks) hook.Dispose();
        _hooks.Clear();
        Forget();
        _rows.Dispose();
        _indices.Dispose();
        _placeOf.Dispose();
    }

    private protected override void Activate()
    {
        if (_hooks.Count > 0) return;
        Attach(_planned.Embedding, WithRows);
        if (_planned.Head is not null) Attach(_planned.Head, WithColumns);
    }

    private protected override void Deactivate()
    {
    }

    private void Attach(nn.Module<Tensor, Tensor> module, Func<Tensor, Tensor, Tensor> replace)
    {
        var hooks = HookCount.OfOutput(module);
        _hooks.Add(new HookRemoval(module.register_forward_hook((_, input, output) =>
        {
            if (!IsActive || _originals is not null) return null!;
            Follow();
            using var scope = NewDisposeScope();
            Tensor result = replace(input, output).MoveToOuterDisposeScope();
            // Nobody else has it, unless somebody's hook has seen it.
            if (hooks.Current == 1) output.Dispose();
            return result;
        }).remove));
    }

    private SampleChange ChangeAt(string path, nn.Module module, Func<Tensor, Tensor, Tensor> replace) => new(path, module, [], (input, output) =>
    {
        Follow();
        return replace(input, output);
    });

    private Tensor WithRows(Tensor tokens, Tensor output)
    {
        Tensor place = _placeOf.index_select(0, tokens.to(ScalarType.Int64).flatten());
        Tensor rows = _rows.index_select(0, place.clamp_min(0)).to(output.dtype).view(output.shape);
        return where(place.ge(0).view([.. tokens.shape, 1]), rows, output);
    }

    private Tensor WithColumns(Tensor hidden, Tensor output) =>
        output.index_copy(output.dim() - 1, _indices, nn.functional.linear(hidden, _rows.to(hidden.dtype)).to(output.dtype));

    // Moving a model does not reach what it does not list.
    private void Follow()
    {
        using Parameter? weight = _planned.Embedding.weight;
        if (weight is null || weight.IsInvalid || (weight.device_type == _rows.device_type && weight.device_index == _rows.device_index)) return;
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Device device = weight.device;
        var moved = new Parameter(_rows.detach().to(device), _rows.requires_grad);
        moved.DetachFromDisposeScope();
        _rows.Dispose();
        _rows = moved;
        _indices = Moved(_indices, device);
        _placeOf = Moved(_placeOf, device);
    }

    private static Tensor Moved(Tensor tensor, Device device)
    {
        Tensor moved = tensor.to(device).DetachFromDisposeScope();
        tensor.Dispose();
        return moved;
    }

    private void Forget()
    {
        _originals?.Dispose();
        _originals = null;
    }
}
