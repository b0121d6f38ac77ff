using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace SystemTorch.Tests.Autograd;

/// <summary>x² · k, which saves its input, its output and a number.</summary>
internal sealed class Square : SingleTensorFunction<Square>
{
    public override string Name => nameof(Square);

    public override Tensor forward(AutogradContext ctx, params object[] vars)
    {
        var x = (Tensor)vars[0];
        using Tensor square = x * x;
        Tensor y = square * (double)vars[1];
        ctx.save_for_backward([x, y]);
        ctx.save_data("k", vars[1]);
        return y;
    }

    public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output)
    {
        List<Tensor> saved = ctx.get_saved_variables();
        return [grad_output * saved[0] * (2 * (double)ctx.get_data("k")), null!];
    }
}

/// <summary>Runs what the test gives it.</summary>
internal sealed class Scripted : SingleTensorFunction<Scripted>
{
    public sealed record Script(Func<AutogradContext, Tensor, Tensor> Forward, Func<AutogradContext, Tensor, List<Tensor>> Backward);

    private Script? _script;

    public override string Name => nameof(Scripted);

    public override Tensor forward(AutogradContext ctx, params object[] vars)
    {
        _script = (Script)vars[1];
        return _script.Forward(ctx, (Tensor)vars[0]);
    }

    public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output) => _script!.Backward(ctx, grad_output);
}
