using System.Diagnostics.CodeAnalysis;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Golden;

/// <summary>A tiny mixture of experts in raw 3-D parameters: p = softmax(x·routerᵀ), y = Σ p_e · (tanh(x·Up_e)·Down_e). The layout <c>eoi</c> stores Up_e and Down_e transposed.</summary>
internal sealed class Experts : nn.Module<Tensor, Tensor>
{
    [SuppressMessage("Style", "IDE0044", Justification = "TorchSharp replaces parameters by reflection when a model moves.")]
    private Parameter router;

    [SuppressMessage("Style", "IDE0044", Justification = "As above.")]
    private Parameter w_up;

    [SuppressMessage("Style", "IDE0044", Justification = "As above.")]
    private Parameter w_down;

    private readonly bool _transposes;

    internal Experts(long count, long width, long hidden, string layout)
        : base(nameof(Experts))
    {
        _transposes = layout == "eoi";
        IsTransposed = layout == "eio";
        router = Empty(count, width);
        w_up = _transposes ? Empty(count, hidden, width) : Empty(count, width, hidden);
        w_down = _transposes ? Empty(count, width, hidden) : Empty(count, hidden, width);
        RegisterComponents();
    }

    /// <summary>Whether the module says that its parameters are <c>[experts, in, out]</c>, as transformers' <c>is_transposed</c>.</summary>
    public bool IsTransposed { get; }

    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        Tensor p = nn.functional.softmax(input.matmul(router.t()), -1);
        Tensor up = _transposes ? w_up.transpose(1, 2) : w_up, down = _transposes ? w_down.transpose(1, 2) : w_down;
        // [experts, rows, hidden], then [experts, rows, width], weighed and summed over the experts.
        Tensor hidden = input.unsqueeze(0).matmul(up).tanh();
        return hidden.matmul(down).mul(p.t().unsqueeze(-1)).sum(0, keepdim: false).MoveToOuterDisposeScope();
    }

    private static Parameter Empty(params long[] shape)
    {
        var parameter = new Parameter(zeros(shape, device: TestDevice.Current));
        parameter.DetachFromDisposeScope();
        return parameter;
    }
}
