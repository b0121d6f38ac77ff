using Lora.Optimization;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Optimization;

/// <summary>An optimizer that got a saved state takes the steps that the first would have taken, bit for bit.</summary>
[Collection(Alone.Name)]
public sealed class OptimizerStateTests
{
    private static readonly Dictionary<string, Func<Parameter[], optim.Optimizer>> Kinds = new()
    {
        ["flat"] = parameters => new FlatAdamW(Groups(parameters), 0.8),
        ["AdamW"] = parameters => optim.AdamW(Groups(parameters).ForAdamW(0.8)),
        ["Adam"] = parameters => optim.Adam(parameters, 0.05, weight_decay: 0.1, amsgrad: true),
        ["SGD"] = parameters => optim.SGD(parameters, 0.05, momentum: 0.9),
        ["preconditioned"] = parameters => new PreconditionedOptimizer(new FlatAdamW(Groups(parameters)), [], new RiemannianPreconditioner()),
    };

    public static TheoryData<string> Names => [.. Kinds.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void It_goes_on_bit_for_bit(string kind)
    {
        using var scope = NewDisposeScope();
        Parameter[] first = Make(), second = Make();
        using optim.Optimizer before = Kinds[kind](first);
        for (int step = 0; step < 3; step++) Step(before, first, step);
        Dictionary<string, Tensor> saved = OptimizerStates.Save(before).ToDictionary();
        // Copies: the first may go on.
        using (no_grad())
            foreach ((Parameter from, Parameter to) in first.Zip(second)) to.copy_(from);
        for (int step = 3; step < 6; step++) Step(before, first, step);

        using optim.Optimizer after = Kinds[kind](second);
        Assert.True(OptimizerStates.CanSave(after));
        OptimizerStates.Load(after, saved);
        for (int step = 3; step < 6; step++) Step(after, second, step);
        foreach ((Parameter expected, Parameter actual) in first.Zip(second)) Assert.Equal(Adapted.Bits(expected), Adapted.Bits(actual));
    }

    [Fact]
    public void Each_parameter_has_its_moments_in_its_own_shape()
    {
        using var scope = NewDisposeScope();
        Parameter[] parameters = Make();
        using var optimizer = new FlatAdamW(Groups(parameters), 0.8, 0.95);
        Step(optimizer, parameters, 0);
        IReadOnlyDictionary<string, Tensor> state = optimizer.SaveState();
        Assert.Equal(["0.exp_avg", "0.exp_avg_sq", "1.exp_avg", "1.exp_avg_sq", "2.exp_avg", "2.exp_avg_sq", "3.exp_avg", "3.exp_avg_sq", "step"], state.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(1, state["step"].item<long>());
        Parameter[] order = [.. optimizer.parameters()];
        for (int i = 0; i < 4; i++)
        {
            Tensor gradient = order[i].grad!;
            Assert.Equal(order[i].shape, state[$"{i}.exp_avg"].shape);
            Adapted.AssertRelativelyClose(gradient.mul(0.2), state[$"{i}.exp_avg"]);
            Adapted.AssertRelativelyClose(gradient.square().mul(0.05), state[$"{i}.exp_avg_sq"]);
        }
    }

    [Fact]
    public void A_state_of_other_parameters_is_refused_and_changes_nothing()
    {
        using var scope = NewDisposeScope();
        Parameter[] parameters = Make();
        using var optimizer = new FlatAdamW(Groups(parameters));
        Step(optimizer, parameters, 0);
        Dictionary<string, Tensor> good = OptimizerStates.Save(optimizer).ToDictionary(), bad = new(good);
        bad.Remove("step");
        bad.Remove("1.exp_avg");
        bad["0.exp_avg"] = zeros(2, 2);
        bad["9.exp_avg"] = zeros(1);
        Assert.Equal(
            """
            The saved state is none of this FlatAdamW over 4 parameters:
              - 'step' is not there, or no integer
              - '0.exp_avg' is Float32 [2, 2], where Float32 [3, 5] is needed
              - '1.exp_avg' is not there
              - '9.exp_avg' belongs to no parameter (Parameter 'state')
            """.ReplaceLineEndings("\n"), Assert.Throws<ArgumentException>(() => optimizer.LoadState(bad)).Message);
        foreach ((string name, Tensor tensor) in OptimizerStates.Save(optimizer)) Assert.Equal(Adapted.Bits(good[name]), Adapted.Bits(tensor));

        using var other = optim.AdamW(parameters);
        Assert.Equal("The saved state is none of AdamW: it holds '0.exp_avg', '0.exp_avg_sq', '1.exp_avg', '1.exp_avg_sq', but no bytes 'state_dict'. (Parameter 'state')", Assert.Throws<ArgumentException>(() => OptimizerStates.Load(other, good)).Message);
    }

    private static Parameter[] Make()
    {
        using var generator = new Generator(6);
        return [.. new long[][] { [3, 5], [7], [2, 3, 4], [1, 1] }.Select((shape, i) => new Parameter(randn(shape, dtype: i == 2 ? ScalarType.Float64 : ScalarType.Float32, generator: generator)))];
    }

    private static ParameterGroup[] Groups(Parameter[] parameters) =>
        [new(ParameterRole.Down, [parameters[0], parameters[2]], 0.05, 0.1), new(ParameterRole.Up, [parameters[1], parameters[3]], 0.1, 0)];

    private static void Step(optim.Optimizer optimizer, Parameter[] parameters, int step)
    {
        optimizer.zero_grad();
        using var scope = NewDisposeScope();
        using var generator = new Generator((ulong)(40 + step));
        foreach (Parameter parameter in parameters) parameter.mul(randn(parameter.shape, dtype: parameter.dtype, generator: generator)).sin().sum().backward();
        optimizer.step();
    }
}
