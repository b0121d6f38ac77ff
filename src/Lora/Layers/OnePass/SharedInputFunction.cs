using static TorchSharp.torch;

namespace Lora.Layers.OnePass;

/// <summary>The node of the gradient graph that stands for a <see cref="SharedInputPass"/>. Its arguments: the pass, x, and for each layer W, A and B, of which a layer without an adapter has W alone.</summary>
internal sealed class SharedInputFunction : autograd.MultiTensorFunction<SharedInputFunction>
{
    private const string Pass = "pass", Present = "present", NeedsInput = "needs input", KeepsInput = "keeps input";

    public override string Name => nameof(SharedInputFunction);

    public override List<Tensor> forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var pass = (SharedInputPass)vars[0];
        var input = (Tensor)vars[1];
        Tensor?[] factors = [.. vars.Skip(2).Cast<Tensor?>()];
        (Tensor?[] a, Tensor?[] b) = (Every(factors, 1), Every(factors, 2));
        bool keepsInput = a.Any(factor => factor is { requires_grad: true });
        ctx.save_data(Pass, pass);
        ctx.save_data(Present, factors.Select(factor => factor is not null).ToArray());
        ctx.save_data(NeedsInput, input.requires_grad);
        ctx.save_data(KeepsInput, keepsInput);
        // An output that nobody used then comes as an invalid tensor, and its part of the work is left out.
        ctx.set_materialize_grads(false);
        (List<Tensor> outputs, Tensor narrow) = pass.Forward(input, a, b);
        // The wide input is there for the gradients of the A's alone.
        ctx.save_for_backward([narrow, .. keepsInput ? [input] : Array.Empty<Tensor>(), .. factors.OfType<Tensor>()]);
        return outputs;
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, List<Tensor> grad_outputs)
    {
        // On CUDA this is another thread than the caller's, with no scope.
        using var scope = NewDisposeScope();
        List<Tensor> saved = ctx.get_saved_variables();
        Tensor? input = (bool)ctx.get_data(KeepsInput) ? saved[1] : null;
        int next = input is null ? 1 : 2;
        Tensor?[] factors = [.. ((bool[])ctx.get_data(Present)).Select(present => present ? saved[next++] : null)];
        var (ofInput, ofA, ofB) = ((SharedInputPass)ctx.get_data(Pass))
            .Backward(input, saved[0], [.. Every(factors, 0).OfType<Tensor>()], Every(factors, 1), Every(factors, 2), grad_outputs, (bool)ctx.get_data(NeedsInput));
        return [null!, BackwardResult.Of(ofInput), .. Enumerable.Range(0, ofA.Length).SelectMany(i => new[] { null!, BackwardResult.Of(ofA[i]), BackwardResult.Of(ofB[i]) })];
    }

    private static Tensor?[] Every(Tensor?[] factors, int position) => [.. Enumerable.Range(0, factors.Length / 3).Select(i => factors[3 * i + position])];
}
