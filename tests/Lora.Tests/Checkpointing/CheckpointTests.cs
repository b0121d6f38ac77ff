using System.Runtime.InteropServices;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Checkpointing;

/// <summary>A block that is run again in backward has the gradients of one that keeps everything.</summary>
[Collection(Alone.Name)]
public sealed class CheckpointTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Gradients_and_random_numbers_are_those_without(bool nested)
    {
        using var scope = NewDisposeScope();
        using Sequential block = Block();
        Tensor input = Input();
        (double[] output, double[][] wanted, double next) = Run(x => block.call(x));
        (double[] again, double[][] found, double after) = Run(x => nested
            ? Checkpoint.Run(block, inputs => [Checkpoint.Run(block, inputs[0])], x)[0]
            : Checkpoint.Run(block, x));
        Assert.Equal(output, again);
        Assert.Equal(next, after);
        Assert.Contains(output, number => number == 0);
        for (int i = 0; i < wanted.Length; i++) Assert.Equal(wanted[i], found[i]);

        // The first pass leaves its gradients, to which the second adds.
        (double[] Output, double[][] Gradients, double Next) Run(Func<Tensor, Tensor> call)
        {
            Tensor[] leaves = [input, .. block.parameters()];
            foreach (Tensor leaf in leaves) leaf.grad = null;
            manual_seed(3);
            Tensor output = call(input);
            output.square().sum().backward();
            double next = rand(1).ToDouble();
            call(input).sum().backward();
            return (Values(output), [.. leaves.Select(leaf => Values(leaf.grad!))], next);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Attention_draws_the_same_in_both_runs(bool swap)
    {
        using var scope = NewDisposeScope();
        using AttentionModel model = AttentionModel.Make(swap, dropout: 0.4);
        AttentionModel.Filled(LoraModel.Wrap(model, AttentionModel.Config));
        model.train();
        Tensor input = AttentionModel.Input().requires_grad_();
        double[][] wanted = Run(x => model.call(x)), found = Run(x => Checkpoint.Run(model, x));
        for (int i = 0; i < wanted.Length; i++) Assert.All(wanted[i].Zip(found[i]), pair => Assert.Equal(pair.First, pair.Second, 1e-12));

        double[][] Run(Func<Tensor, Tensor> call)
        {
            Tensor[] leaves = [input, .. model.parameters().Where(parameter => parameter.requires_grad)];
            foreach (Tensor leaf in leaves) leaf.grad = null;
            manual_seed(3);
            call(input).square().sum().backward();
            return [.. leaves.Select(leaf => Values(leaf.grad!))];
        }
    }

    [Fact]
    public void An_output_that_nobody_uses_counts_for_nothing()
    {
        using var scope = NewDisposeScope();
        using Sequential block = Block();
        block.eval();
        Tensor input = Input(), constant = Noise.Fill(zeros([3, 4], dtype: ScalarType.Float64), 8, 1);
        IReadOnlyList<Tensor> outputs = Checkpoint.Run(block, inputs => [block.call(inputs[0]), inputs[0].mul(inputs[1])], input, constant);
        outputs[1].sum().backward();
        Assert.Equal(Values(constant), Values(input.grad!));
        Assert.All(block.parameters(), parameter => Assert.Null(parameter.grad));
    }

    [Fact]
    public void A_failing_block_leaves_gradients_and_random_numbers_alone()
    {
        FailedBackward.SkipWhereItEndsTheProcess();
        using Sequential block = Block();
        using Tensor input = Input();
        foreach (Parameter parameter in block.parameters()) parameter.grad = ones_like(parameter);
        using Tensor state = get_rng_state();
        int runs = 0, failing = 1;
        Assert.Throws<ArithmeticException>(() => Checkpoint.Run(block, Block_, input));
        Assert.Equal(1, runs);
        (runs, failing) = (0, 2);
        using (var scope = NewDisposeScope())
        {
            Tensor output = Checkpoint.Run(block, Block_, input)[0];
            using Tensor between = get_rng_state();
            Assert.IsType<ArithmeticException>(Assert.Throws<ExternalException>(() => output.sum().backward()).InnerException);
            Assert.Equal(between.bytes.ToArray(), get_rng_state().bytes.ToArray());
        }
        Assert.Equal(2, runs);
        Assert.All(block.parameters(), parameter => Assert.All(Values(parameter.grad!), number => Assert.Equal(1, number)));
        failing = 1;
        Leaks.AssertNone(10, () =>
        {
            runs = 0;
            Assert.Throws<ArithmeticException>(() => Checkpoint.Run(block, Block_, input));
        });
        failing = 2;
        Leaks.AssertNone(10, () =>
        {
            runs = 0;
            using Tensor output = Checkpoint.Run(block, Block_, input)[0];
            using Tensor sum = output.sum();
            Assert.Throws<ExternalException>(() => sum.backward());
        });

        IReadOnlyList<Tensor> Block_(IReadOnlyList<Tensor> inputs)
        {
            Tensor output = block.call(inputs[0]);
            return ++runs == failing ? throw new ArithmeticException() : [output];
        }
    }

    [Fact]
    public void Nothing_stays()
    {
        using Sequential block = Block();
        using Tensor input = Input();
        Leaks.AssertNone(20, () =>
        {
            using Tensor output = Checkpoint.Run(block, input), sum = output.sum();
            sum.backward();
        });
        Leaks.AssertNone(20, () => Checkpoint.Run(block, input).Dispose());
        Leaks.AssertNone(20, () =>
        {
            using var noGrad = no_grad();
            Checkpoint.Run(block, input).Dispose();
        });
    }

    private static Sequential Block()
    {
        Sequential block = nn.Sequential(nn.Linear(4, 7, dtype: ScalarType.Float64), nn.Tanh(), nn.Dropout(0.5), nn.Linear(7, 5, dtype: ScalarType.Float64), nn.Dropout(0.3));
        int seed = 20;
        foreach (Parameter parameter in block.parameters()) Noise.Fill(parameter, seed++, 1);
        block.train();
        return block;
    }

    private static Tensor Input() => Noise.Fill(zeros([3, 4], dtype: ScalarType.Float64), 1, 1).requires_grad_();

    private static double[] Values(Tensor tensor) => tensor.detach().contiguous().data<double>().ToArray();
}
