using static TorchSharp.torch;

namespace Lora.Llm.Blocks.Passes;

/// <summary>The node of the gradient graph that stands for <see cref="RowRotation.Apply"/>. Its arguments: rows, cosines, sines, d, direction.</summary>
internal sealed class RotationFunction : autograd.SingleTensorFunction<RotationFunction>
{
    private const string HeadDimension = "d", Direction = "direction";

    public override string Name => nameof(RotationFunction);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var rotation = new RowRotation((Tensor)vars[1], (Tensor)vars[2], (int)vars[3]);
        ctx.save_data(HeadDimension, rotation.HeadDimension);
        ctx.save_data(Direction, vars[4]);
        ctx.save_for_backward([rotation.Cosine, rotation.Sine]);
        return rotation.Turn((Tensor)vars[0], (double)vars[4]);
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var scope = NewDisposeScope();
        List<Tensor> tables = ctx.get_saved_variables();
        (int width, double direction) = ((int)ctx.get_data(HeadDimension), -(double)ctx.get_data(Direction));
        // The turn is linear: the gradient's own gradient is a turn as well.
        Tensor gradient = is_grad_enabled() ? apply(grad_output, tables[0], tables[1], width, direction) : new RowRotation(tables[0], tables[1], width).Turn(grad_output, direction);
        return [gradient.MoveToOuterDisposeScope(), null!, null!, null!, null!];
    }
}
