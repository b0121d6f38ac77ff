using Lora.Optimization;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Optimization;

/// <summary>Which parameters are trained how.</summary>
public sealed class ParameterGroupTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Each_role_has_its_learning_rate_and_vectors_no_decay()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, LayerKind.Embedding);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, new LoraConfig { Rank = 2, TargetModules = ModuleSelector.EndsWith("_second"), UseLoraBias = true });
        lora.AddAdapter("table", new LoraConfig { Rank = 3, TargetModules = ModuleSelector.EndsWith("_first"), Bias = BiasKind.All });
        IReadOnlyList<ParameterGroup> groups = lora.ParameterGroups(new GroupOptions { LearningRate = 0.1, UpRatio = 8, EmbeddingLearningRate = 0.01, WeightDecay = 0.5 });
        Assert.Equal(
            [
                (ParameterRole.Down, "[2, 5]", 0.1, 0.5),
                (ParameterRole.Up, "[3, 2]", 0.8, 0.5),
                (ParameterRole.Embedding, "[3, 7] [5, 3]", 0.01, 0.5),
                (ParameterRole.Vector, "[3] [3]", 0.8, 0.0),
            ],
            groups.Select(group => (group.Role, string.Join(" ", group.Parameters.Select(parameter => $"[{string.Join(", ", parameter.shape)}]")), group.LearningRate, group.WeightDecay)));
        Assert.Equal(lora.TrainableParameters().Count, groups.Sum(group => group.Parameters.Count));

        lora.SetTrainable(false, "default");
        Assert.Equal([ParameterRole.Embedding, ParameterRole.Vector], lora.ParameterGroups().Select(group => group.Role));
        Assert.Equal([(1e-4, 0.0), (1e-4, 0.0)], lora.ParameterGroups().Select(group => (group.LearningRate, group.WeightDecay)));
    }

    [Fact]
    public void What_is_trained_in_full_has_a_role_of_its_own()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, new LoraConfig { Rank = 2, TargetModules = ModuleSelector.EndsWith("_first"), ModulesToSave = ["_second"] });
        Assert.Equal([(ParameterRole.Down, 1), (ParameterRole.Up, 1), (ParameterRole.Vector, 1), (ParameterRole.Full, 1)], lora.ParameterGroups().Select(group => (group.Role, group.Parameters.Count)));
    }

    [Fact]
    public void Any_optimizer_takes_them()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field));
        IReadOnlyList<ParameterGroup> groups = lora.ParameterGroups(new GroupOptions { LearningRate = 0.1, UpRatio = 2, WeightDecay = 0.25 });
        using var adam = optim.AdamW(groups.ForAdamW());
        using var sgd = optim.SGD(groups.ForSgd(momentum: 0.5), learningRate: 1);
        using var other = optim.Adam(groups.For((parameters, rate, decay) => new Adam.ParamGroup(parameters, rate, weight_decay: decay)));
        foreach (optim.Optimizer optimizer in (optim.Optimizer[])[adam, sgd, other])
        {
            Assert.Equal([0.1, 0.2], optimizer.ParamGroups.Select(group => group.LearningRate));
            Assert.Equal(4, optimizer.parameters().Count());
        }
        Assert.All(groups.ForAdamW(), group => Assert.Equal(0.25, group.Options.weight_decay));
    }

    [Theory]
    [InlineData(-1, 1, 0, "LearningRate must be a finite number of at least 0.")]
    [InlineData(1, 0, 0, "UpRatio must be above 0: B would not train.")]
    [InlineData(1, 1, double.NaN, "WeightDecay must be a finite number of at least 0.")]
    public void Settings_out_of_range(double rate, double ratio, double decay, string message)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field));
        var exception = Assert.Throws<ArgumentOutOfRangeException>(() => lora.ParameterGroups(new GroupOptions { LearningRate = rate, UpRatio = ratio, WeightDecay = decay }));
        Assert.StartsWith(message, exception.Message, StringComparison.Ordinal);
    }
}
