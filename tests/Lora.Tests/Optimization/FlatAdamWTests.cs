using Lora.Layers;
using Lora.Optimization;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Optimization;

/// <summary>AdamW over one buffer does what AdamW over many tensors does.</summary>
[Collection(Alone.Name)]
public sealed class FlatAdamWTests
{
    public static TheoryData<ScalarType, double> Cases => new() { { ScalarType.Float64, 0 }, { ScalarType.Float64, 0.1 }, { ScalarType.Float32, 0.1 }, { ScalarType.BFloat16, 0.1 } };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Ten_steps_give_the_same_numbers(ScalarType type, double decay)
    {
        using var scope = NewDisposeScope();
        (Training many, Training one) = (new Training(type), new Training(type));
        var options = new GroupOptions { LearningRate = 0.02, UpRatio = 4, WeightDecay = decay };
        using var theirs = optim.AdamW(many.Lora.ParameterGroups(options).ForAdamW(0.8, 0.95, 1e-6));
        using var ours = new FlatAdamW(one.Lora.ParameterGroups(options), 0.8, 0.95, 1e-6);
        Assert.Equal([.. theirs.ParamGroups.Select(group => group.LearningRate)], ours.ParamGroups.Select(group => group.LearningRate));
        for (int step = 0; step < 10; step++)
        {
            many.Backward(theirs, step);
            one.Backward(ours, step);
            double norm = nn.utils.clip_grad_norm_(many.Lora.TrainableParameters(), 0.05);
            // In half precision the two come apart a little at each step.
            Assert.Equal(norm, ours.ClipGradientNorm(0.05), (type == ScalarType.BFloat16 ? 0.1 : 1e-4) * norm);
            foreach (optim.ILearningRateController group in theirs.ParamGroups.Concat(ours.ParamGroups)) group.LearningRate *= 0.9;
            theirs.step();
            ours.step();
        }
        Assert.Equal(10, ours.StepCount);
        foreach ((Parameter expected, Parameter actual) in many.Lora.TrainableParameters().Zip(one.Lora.TrainableParameters())) Adapted.AssertRelativelyClose(expected, actual);
    }

    [Fact]
    public void Parameters_stay_what_they_are_and_get_their_own_memory_back()
    {
        using var scope = NewDisposeScope();
        var training = new Training(ScalarType.Float32);
        IReadOnlyList<Parameter> parameters = training.Lora.TrainableParameters();
        string[] before = [.. parameters.Select(parameter => Convert.ToHexString(Adapted.Bits(parameter)))];
        using (var optimizer = new FlatAdamW(parameters, lr: 0))
        {
            Assert.Equal(parameters.Select(parameter => parameter.Handle), training.Lora.TrainableParameters().Select(parameter => parameter.Handle));
            Assert.All(parameters, parameter => Assert.NotEqual(0, parameter.storage_offset()));
            training.Backward(optimizer, 0);
            optimizer.step();
        }
        Assert.Equal(before, parameters.Select(parameter => Convert.ToHexString(Adapted.Bits(parameter))));
        Assert.All(parameters, parameter => Assert.True(parameter.storage_offset() == 0 && parameter.grad is null && parameter.requires_grad));
    }

    [Fact]
    public void Gradients_that_somebody_set_anew_count_too()
    {
        using var scope = NewDisposeScope();
        (Training usual, Training reset) = (new Training(ScalarType.Float64), new Training(ScalarType.Float64));
        using var first = new FlatAdamW(usual.Lora.TrainableParameters(), lr: 0.05);
        using var second = new FlatAdamW(reset.Lora.TrainableParameters(), lr: 0.05);
        for (int step = 0; step < 4; step++)
        {
            usual.Backward(first, step);
            foreach (Parameter parameter in reset.Lora.TrainableParameters()) parameter.grad = null;
            reset.Backward(null, step);
            first.step();
            second.step();
        }
        foreach ((Parameter expected, Parameter actual) in usual.Lora.TrainableParameters().Zip(reset.Lora.TrainableParameters())) Adapted.AssertSame(expected, actual);
    }

    [Fact]
    public void Steps_leave_nothing_alive()
    {
        using var training = new Training(ScalarType.Float32);
        using var optimizer = new FlatAdamW(training.Lora.TrainableParameters());
        Leaks.AssertNone(30, () =>
        {
            using var scope = NewDisposeScope();
            training.Backward(optimizer, 1);
            optimizer.ClipGradientNorm(1);
            optimizer.step();
        });
        Leaks.AssertNone(10, () => new FlatAdamW(training.Lora.TrainableParameters()).Dispose());
    }

    [Fact]
    public void Nonsense_is_refused()
    {
        using var training = new Training(ScalarType.Float32);
        IReadOnlyList<Parameter> parameters = training.Lora.TrainableParameters();
        Assert.Equal("There is no parameter to train. (Parameter 'groups')", Assert.Throws<ArgumentException>(() => new FlatAdamW(Array.Empty<ParameterGroup>())).Message);
        Assert.Equal("A parameter is there twice. (Parameter 'groups')", Assert.Throws<ArgumentException>(() => new FlatAdamW(parameters.Concat(parameters))).Message);
        Assert.Throws<ArgumentOutOfRangeException>(() => new FlatAdamW(parameters, beta1: 1));
        using var optimizer = new FlatAdamW(parameters);
        Assert.Equal(
            "A FlatAdamW holds the parameters that it was made with: make a new one with all groups.",
            Assert.Throws<InvalidOperationException>(() => optimizer.add_param_group(new AdamW.ParamGroup(parameters))).Message);
    }

    private sealed class Training : IDisposable
    {
        private readonly ScalarType _type;

        internal Training(ScalarType type)
        {
            _type = type;
            Model = TestModels.Make(Holder.Field, type: type);
            Lora = Adapted.Wrap(Model, Adapted.Config with { UseLoraBias = true }, new WrapOptions { UpcastAdapters = false });
        }

        internal nn.Module<Tensor, Tensor> Model { get; }

        internal LoraModel<nn.Module<Tensor, Tensor>> Lora { get; }

        internal void Backward(optim.Optimizer? optimizer, int step)
        {
            using var scope = NewDisposeScope();
            optimizer?.zero_grad();
            Model.call(Noise.Fill(empty([4, TestModels.In], _type, TestDevice.Current), 100 + step, 1)).square().sum().backward();
        }

        public void Dispose()
        {
            Lora.Dispose();
            Model.Dispose();
        }
    }
}
