using Lora.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Checkpointing;

/// <summary>One pass through a block that is run again in backward.</summary>
internal sealed class CheckpointPass
{
    private readonly nn.Module _owner;
    private readonly Func<IReadOnlyList<Tensor>, IReadOnlyList<Tensor>> _block;
    private readonly int _inputs;
    private readonly RandomMoment? _random;
    private readonly BlockState _state;
    private bool[] _needsGradient = [];

    private CheckpointPass(nn.Module owner, Func<IReadOnlyList<Tensor>, IReadOnlyList<Tensor>> block, IReadOnlyList<Tensor> inputs, DeviceType device)
    {
        (_owner, _block, _inputs) = (owner, block, inputs.Count);
        _state = BlockState.Of(owner);
        // A block that does not train may still have a part that does.
        if (owner.modules().Any(module => module.training)) _random = new RandomMoment(device);
    }

    internal static IReadOnlyList<Tensor> Run(nn.Module owner, Func<IReadOnlyList<Tensor>, IReadOnlyList<Tensor>> block, IReadOnlyList<Tensor> inputs)
    {
        Tensor[] trained = [.. owner.parameters().Where(parameter => parameter.requires_grad)];
        if (!is_grad_enabled() || (trained.Length == 0 && !inputs.Any(input => input.requires_grad))) return block(inputs);
        DeviceType device = (inputs.Count > 0 ? inputs[0] : trained[0]).device_type;
        return CheckpointFunction.apply([new CheckpointPass(owner, block, inputs, device), .. inputs, .. trained]);
    }

    /// <param name="arguments">The inputs, and the parameters that train.</param>
    internal List<Tensor> Forward(Tensor[] arguments)
    {
        _needsGradient = [.. arguments.Select(argument => argument.requires_grad)];
        _random?.Begin();
        using IDisposable repeated = RandomMoment.Repeated();
        using var scope = NewDisposeScope();
        List<Tensor> outputs = [.. _block(arguments[.._inputs])];
        foreach (Tensor output in outputs) output.MoveToOuterDisposeScope();
        return outputs;
    }

    /// <returns>The gradient of each of Forward's arguments; null where there is none.</returns>
    internal List<Tensor> Backward(List<Tensor> saved, List<Tensor> gradients)
    {
        if (_state.ChangeUntil(BlockState.Of(_owner)) is string change)
        {
            throw new InvalidOperationException(
                $"A block that backward runs again ({nameof(Checkpoint)}) must be as it was in forward, but {change}. Call backward before the mode, the active adapters or a scope change.");
        }
        using var grad = enable_grad();
        Tensor[] inputs = [.. saved.Take(_inputs).Select((tensor, i) => _needsGradient[i] ? tensor.detach().requires_grad_() : tensor.detach())], trained = [.. saved.Skip(_inputs)];
        // What the run adds to the gradients of parameters is this node's to give: the outer pass adds it, once. A leaf that is not known here keeps what the run adds to it.
        Tensor?[] before = [.. trained.Select(parameter => parameter.grad)];
        foreach (Tensor parameter in trained) parameter.grad = null;
        try
        {
            IReadOnlyList<Tensor> outputs;
            using (_random?.Replay()) outputs = _block(inputs);
            (Tensor Of, Tensor With)[] used = [.. outputs.Zip(gradients).Where(pair => !pair.Second.IsInvalid && pair.First.requires_grad)];
            if (used.Length > 0) autograd.backward([.. used.Select(pair => pair.Of)], [.. used.Select(pair => pair.With)]);
            return [.. inputs.Concat(trained).Select((tensor, i) => _needsGradient[i] ? tensor.grad! : null!)];
        }
        finally
        {
            for (int i = 0; i < trained.Length; i++) trained[i].grad = before[i];
        }
    }
}
