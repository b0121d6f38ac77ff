using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SystemTorch.Tests.Optim;

[Collection(Alone.Name)]
public sealed class OptimizerLeakTests
{
    [Theory]
    [InlineData("sgd")]
    [InlineData("adam")]
    [InlineData("adamw")]
    public void StepsAndClippingLeaveNoHandle(string kind)
    {
        using var p = new Parameter(ones(4));
        using var q = new Parameter(ones(2, 2));
        Parameter[] parameters = [p, q];
        Assert.Equal(0, LiveHandles.LeftBy(() =>
        {
            using optim.Optimizer optimizer = kind switch
            {
                "sgd" => optim.SGD(parameters, 0.1, momentum: 0.9, weight_decay: 0.1, nesterov: true, maximize: true),
                "adam" => optim.Adam(parameters, weight_decay: 0.1, amsgrad: true, maximize: true),
                _ => optim.AdamW(parameters, weight_decay: 0.1, amsgrad: true, maximize: true),
            };
            for (int i = 0; i < 5; i++)
            {
                using (Tensor g = ones(4)) p.grad = g;
                using (Tensor g = ones(2, 2)) q.grad = g;
                nn.utils.clip_grad_norm_(parameters, 0.5);
                nn.utils.clip_grad_value_(parameters, 0.5);
                optimizer.step();
                optimizer.zero_grad();
            }
            (p.grad, q.grad) = (null, null);
        }));
    }

    [Fact]
    public void AStateGoesThroughAStream()
    {
        using var p = new Parameter(ones(3, 2));
        using AdamW one = optim.AdamW([p], lr: 0.1, beta1: 0.7, amsgrad: true), two = optim.AdamW([p], lr: 0.9, amsgrad: true);
        using (Tensor g = ones(3, 2)) p.grad = g;
        one.step();
        one.step();
        var stream = new MemoryStream();
        one.save_state_dict(new BinaryWriter(stream));
        stream.Position = 0;
        Assert.NotEqual(0, stream.Length);

        two.load_state_dict(new BinaryReader(stream));

        Assert.Equal(stream.Length, stream.Position);
        Assert.True(one.state_dict().State[0].ApproximatelyEquals(two.state_dict().State[0]));
        Assert.Equal((0.7, 0.999), two.Betas);
        Assert.Equal(0.1, two.ParamGroups.Single().LearningRate);
        using SGD other = optim.SGD(Array.Empty<Parameter>(), 0.1);
        Assert.Throws<ArgumentException>(() => two.load_state_dict(other.state_dict()));
        stream.SetLength(stream.Length - 3);
        stream.Position = 0;
        Assert.Throws<EndOfStreamException>(() => two.load_state_dict(new BinaryReader(stream)));
    }
}
