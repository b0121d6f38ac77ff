using Lora.Optimization;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Optimization;

public sealed class LossScalerTests
{
    [Fact]
    public void Gradients_are_divided_before_they_are_clipped()
    {
        using var scope = NewDisposeScope();
        using Parameter first = new(tensor([1f, -2])), unused = new(zeros(2)), second = new(tensor(3f));
        using var optimizer = optim.SGD([first, second], 0.5);
        var scaler = new LossScaler(scale: 1024);
        // Two losses of a step are added up.
        scaler.Scaled(first.mul(tensor([3f, 0])).sum()).backward();
        scaler.Scaled(second.mul(4)).backward();
        Assert.Equal([3 * 1024f, 0], first.grad!.data<float>().ToArray());
        Assert.True(scaler.Unscale([first, unused, second]));
        Assert.Equal([3f, 0], first.grad!.data<float>().ToArray());
        Assert.Equal(5, nn.utils.clip_grad_norm_([first, second], 2.5), 1e-6);
        Assert.True(scaler.Step(optimizer));
        Assert.Equal(1 - (0.5f * 1.5f), first[0].item<float>(), 1e-5f);
        Assert.Equal(3 - (0.5f * 2), second.item<float>(), 1e-5f);
        Assert.Equal(new LossScalerState(1024, 1), scaler.State);
    }

    [Theory]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    [InlineData(float.NaN)]
    public void A_step_that_overflows_is_left_out_and_the_scale_falls(float wrong)
    {
        using var scope = NewDisposeScope();
        using Parameter first = new(tensor([1f, -2])), second = new(tensor(3f));
        using var optimizer = optim.SGD([first, second], 0.5);
        var scaler = new LossScaler(scale: 8, backoff: 0.25) { State = new LossScalerState(8, 5) };
        first.grad = ones(2);
        second.grad = tensor(wrong);
        Assert.False(scaler.Unscale([first, second]));
        Assert.False(scaler.Step(optimizer));
        Assert.Equal([1f, -2], first.data<float>().ToArray());
        Assert.Equal(new LossScalerState(2, 0), scaler.State);
    }

    [Fact]
    public void The_scale_rises_after_good_steps_in_a_row_and_a_state_goes_on()
    {
        using var scope = NewDisposeScope();
        using Parameter parameter = new(tensor(3f));
        using var optimizer = optim.SGD([parameter], 0.01);
        var scaler = new LossScaler(scale: 16, growth: 3, backoff: 0.5, interval: 3);
        List<double> scales = [];
        foreach (bool good in new[] { true, true, false, true, true, true, true })
        {
            Step(scaler, good);
            scales.Add(scaler.Scale);
        }
        Assert.Equal([16, 16, 8, 8, 8, 24, 24], scales);
        var other = new LossScaler(growth: 3, interval: 3) { State = scaler.State };
        Step(other, true);
        Step(other, true);
        Assert.Equal(new LossScalerState(72, 0), other.State);
        // Neither 0 nor infinity is ever reached.
        other.State = new LossScalerState(float.Epsilon, 0);
        Step(other, false);
        Assert.True(other.Scale > 0);
        other.State = new LossScalerState(float.MaxValue, 2);
        Step(other, true);
        Assert.Equal(float.MaxValue, other.Scale);

        void Step(LossScaler with, bool good)
        {
            parameter.grad = tensor(good ? 1f : float.PositiveInfinity);
            with.Unscale([parameter]);
            Assert.Equal(good, with.Step(optimizer));
        }
    }

    [Fact]
    public void What_is_out_of_order_or_range_is_refused()
    {
        using var scope = NewDisposeScope();
        using Parameter parameter = new(tensor(3f)), half = new(tensor(3f).to(ScalarType.Float16));
        using var optimizer = optim.SGD([parameter], 0.01);
        var scaler = new LossScaler(scale: 0.5);
        Assert.Equal("The gradients are still multiplied by 0.5: call Unscale first.", Assert.Throws<InvalidOperationException>(() => scaler.Step(optimizer)).Message);
        half.grad = ones_like(half);
        parameter.grad = ones_like(parameter);
        Assert.StartsWith(
            "1 of 2 gradients are float16, where they vanish without the scale: train parameters of float32, as adapters are by default.",
            Assert.Throws<ArgumentException>(() => scaler.Unscale([half, parameter])).Message);
        Assert.Equal(1, parameter.grad!.item<float>());
        scaler.Unscale([parameter]);
        Assert.Equal("The gradients of this step have been divided already: call Step first.", Assert.Throws<InvalidOperationException>(() => scaler.Unscale([parameter])).Message);
        foreach (double wrong in new[] { 0, -1, double.NaN, double.PositiveInfinity }) Assert.Throws<ArgumentException>(() => new LossScaler(scale: wrong));
        foreach (double wrong in new[] { 1, 0.5, double.NaN, double.PositiveInfinity }) Assert.Throws<ArgumentOutOfRangeException>(() => new LossScaler(growth: wrong));
        foreach (double wrong in new[] { 0, 1, -1, double.NaN }) Assert.Throws<ArgumentOutOfRangeException>(() => new LossScaler(backoff: wrong));
        Assert.Throws<ArgumentOutOfRangeException>(() => new LossScaler(interval: 0));
        Assert.Throws<ArgumentException>(() => scaler.State = new LossScalerState(1, -1));
    }
}
