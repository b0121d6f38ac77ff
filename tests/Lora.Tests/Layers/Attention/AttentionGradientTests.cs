using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Layers.Attention;

/// <summary>Two stacked attentions train by the right gradients, in float64. Dropout draws from torch's generator, which tests share: these run alone.</summary>
[Collection(Alone.Name)]
public sealed class AttentionGradientTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData(true, "_first,_second", true)]
    [InlineData(false, "_first,_second", true)]
    [InlineData(true, "_first.in_proj,_second.out_proj", false)]
    [InlineData(false, "_first.out_proj,_second.in_proj", false)]
    public void They_are_those_of_a_plain_restatement(bool swap, string targets, bool bias)
    {
        using AttentionModel model = AttentionModel.Make(swap, bias: bias);
        model.Mask = Noise.Fill(empty([5, 5], ScalarType.Float64, TestDevice.Current), 41, 1).requires_grad_();
        model.Padding = zeros([3, 5], ScalarType.Bool, TestDevice.Current);
        model.Padding[1, 3] = tensor(true);
        using LoraModel<AttentionModel> lora = AttentionModel.Filled(LoraModel.Wrap(model, AttentionModel.Config with { TargetModules = ModuleSelector.EndsWith(targets.Split(',')) }));
        Tensor input = AttentionModel.Input().requires_grad_();
        Tensor[] leaves = [input, model.Mask, .. lora.TrainableParameters()];

        Tensor output = model.call(input), expected = NaiveAttention.Forward(lora, input, model.Mask, model.Padding);
        AssertNear(expected, output);
        IList<Tensor> gradients = Gradients(output, leaves), wanted = Gradients(expected, leaves);
        Assert.Equal(targets.Contains('.', StringComparison.Ordinal) ? 6 : 10, leaves.Length);
        foreach ((Tensor gradient, Tensor other) in gradients.Zip(wanted))
        {
            Assert.True(other.abs().max().item<double>() > 1e-3);
            AssertNear(other, gradient);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void With_dropout_they_are_those_of_finite_differences(bool swap)
    {
        using AttentionModel model = AttentionModel.Make(swap, dropout: 0.3);
        using LoraModel<AttentionModel> lora = AttentionModel.Filled(LoraModel.Wrap(model, AttentionModel.Config));
        Tensor input = AttentionModel.Input().requires_grad_();
        double Loss()
        {
            using var scope = NewDisposeScope();
            using var noGrad = no_grad();
            return Sum(Drawn(model, input), model.Weights!).item<double>();
        }
        Sum(Drawn(model, input), model.Weights!).backward();

        const double step = 1e-6;
        int compared = 0;
        foreach (Tensor parameter in lora.TrainableParameters().Append(input))
        {
            using var noGrad = no_grad();
            Tensor flat = parameter.view(-1), gradient = parameter.grad!.view(-1);
            for (long i = 0; i < flat.numel(); i++)
            {
                double value = flat[i].item<double>();
                double At(double x)
                {
                    flat[i] = x;
                    return Loss();
                }
                double difference = (At(value + step) - At(value - step)) / (2 * step);
                flat[i] = value;
                Assert.Equal(difference, gradient[i].item<double>(), 1e-6 * (1 + Math.Abs(difference)));
                compared++;
            }
        }
        Assert.Equal((2 * (12 + 36 + 12 + 12)) + (5 * 3 * 6), compared);
    }

    [Fact]
    public void Backward_leaves_the_sequence_of_random_numbers_alone()
    {
        using AttentionModel model = AttentionModel.Make(swap: true, dropout: 0.3);
        using LoraModel<AttentionModel> lora = AttentionModel.Filled(LoraModel.Wrap(model, AttentionModel.Config));
        Tensor output = Drawn(model, AttentionModel.Input());
        Tensor state = get_rng_state();
        output.sum().backward();
        Assert.Equal(state.bytes.ToArray(), get_rng_state().bytes.ToArray());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Merging_between_forward_and_backward_does_not_change_them(bool unmerge)
    {
        using AttentionModel model = AttentionModel.Make(swap: true);
        using LoraModel<AttentionModel> lora = AttentionModel.Filled(LoraModel.Wrap(model, AttentionModel.Config));
        lora.AddAdapter("other", AttentionModel.Config with { Rank = 3 });
        AttentionModel.Filled(lora);
        lora.SetActive("default", "other");
        if (unmerge) lora.Merge(new MergeOptions { Adapters = ["other"] });
        Tensor[] leaves = [.. lora.Layers.SelectMany(layer => layer.Layer.Adapters["default"].FileTensors).Select(tensor => tensor.Value)];
        IList<Tensor> wanted = Gradients(model.call(AttentionModel.Input()), leaves);
        Tensor output = model.call(AttentionModel.Input());
        if (unmerge) lora.Unmerge();
        else lora.Merge();
        foreach ((Tensor gradient, Tensor other) in Gradients(output, leaves).Zip(wanted)) AssertNear(other, gradient);
    }

    [Fact]
    public void They_pass_through_to_the_input_and_to_a_bias_that_trains_while_the_adapter_does_not()
    {
        using AttentionModel model = AttentionModel.Make(swap: true);
        using LoraModel<AttentionModel> lora = AttentionModel.Filled(LoraModel.Wrap(model, AttentionModel.Config, new WrapOptions { IsTrainable = false }));
        Parameter bias = lora.Layers[0].Layer.BaseLayer.named_parameters().First(p => p.name == "in_proj_bias").parameter;
        bias.requires_grad = true;
        Tensor input = AttentionModel.Input().requires_grad_();
        IList<Tensor> gradients = Gradients(model.call(input), [input, bias]), wanted = Gradients(NaiveAttention.Forward(lora, input), [input, bias]);
        AssertNear(wanted[0], gradients[0]);
        AssertNear(wanted[1], gradients[1]);
        Assert.All(lora.Layers.SelectMany(layer => layer.Layer.Adapter.FileTensors), tensor => Assert.Null(tensor.Value.grad));
    }

    private static Tensor Drawn(AttentionModel model, Tensor input)
    {
        manual_seed(7);
        return model.call(input);
    }

    // Both outputs count, the second one unevenly.
    private static Tensor Sum(Tensor output, Tensor weights) => output.square().sum().add(weights.pow(3).sum());

    private static IList<Tensor> Gradients(Tensor output, Tensor[] leaves) => autograd.grad([output.square().sum()], leaves);

    private static void AssertNear(Tensor expected, Tensor actual) => Assert.True(
        Adapted.Difference(expected, actual) <= 1e-12 * (1 + expected.abs().max().item<double>()), $"The largest difference is {Adapted.Difference(expected, actual):G3}.");
}
