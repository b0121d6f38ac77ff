using Lora.Layers;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Layers;

/// <summary>A linear layer and its adapter computed in one pass give what the operators give one by one. A hook on the base layer, which is to see its own output, forces the latter.</summary>
/// <remarks>Dropout draws torch's global random numbers, the same for both.</remarks>
[Collection(Alone.Name)]
public sealed class OnePassTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static IEnumerable<TheoryDataRow<LayerKind, int, double, ScalarType>> Cases =>
        from kind in Enum.GetValues<LayerKind>()
        where kind.IsLinear()
        from dimensions in new[] { 2, 3 }
        from dropout in new[] { 0, 0.3 }
        from type in new[] { ScalarType.Float32, ScalarType.Float64 }
        select new TheoryDataRow<LayerKind, int, double, ScalarType>(kind, dimensions, dropout, type);

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Cases))]
    public void Outputs_and_gradients_are_those_of_the_operators(LayerKind kind, int dimensions, double dropout, ScalarType type)
    {
        using LoraLinear layer = Make(kind, type, dropout);
        Tensor input = Input(dimensions, type);
        Tensor[] together = Pass(layer, input);
        Tensor[] onebyone = Hooked(layer, () => Pass(layer, input));
        Assert.All(together.Zip(onebyone), pair => Adapted.AssertRelativelyClose(pair.Second, pair.First));
        Assert.All(together, tensor => Assert.True(tensor.abs().sum().ToDouble() > 0));

        using var noGrad = no_grad();
        layer.eval();
        Adapted.AssertClose(Hooked(layer, () => layer.call(input)), layer.call(input));
    }

    [Theory]
    [InlineData(true, false, true)]
    [InlineData(false, true, true)]
    [InlineData(true, true, false)]
    public void Only_what_trains_gets_a_gradient(bool trainsA, bool trainsB, bool needsInput)
    {
        using LoraLinear layer = Make(LayerKind.Linear, ScalarType.Float64, 0);
        (layer.Adapter.A.requires_grad, layer.Adapter.B.requires_grad) = (trainsA, trainsB);
        Tensor input = Input(3, ScalarType.Float64).detach();
        input.requires_grad = needsInput;
        layer.call(input).square().sum().backward();
        Tensor?[] gradients = [layer.Adapter.A.grad, layer.Adapter.B.grad, input.grad];
        Assert.Equal([trainsA, trainsB, needsInput], gradients.Select(gradient => gradient is not null));
        (layer.Adapter.A.requires_grad, layer.Adapter.B.requires_grad) = (true, true);
        input.requires_grad = true;
        Tensor[] all = Hooked(layer, () => Pass(layer, input));
        Assert.All(gradients.Zip(all[1..]).Where(pair => pair.First is not null), pair => Adapted.AssertRelativelyClose(pair.Second, pair.First!));
    }

    [Fact]
    public void Gradients_of_gradients_are_those_of_the_operators()
    {
        using LoraLinear layer = Make(LayerKind.Transposed, ScalarType.Float64, 0);
        Tensor input = Input(2, ScalarType.Float64);
        Assert.All(Penalty().Zip(Hooked(layer, Penalty)), pair => Adapted.AssertRelativelyClose(pair.Second, pair.First));

        Tensor[] Penalty()
        {
            Tensor loss = layer.call(input).tanh().sum();
            IList<Tensor> gradients = autograd.grad([loss], [input, layer.Adapter.A, layer.Adapter.B], retain_graph: true, create_graph: true);
            layer.zero_grad();
            input.grad = null;
            gradients[0].square().sum().add(gradients[1].square().sum()).add(gradients[2].square().sum()).backward();
            return [.. gradients.Select(gradient => gradient.detach()), input.grad!.clone(), layer.Adapter.A.grad!.clone(), layer.Adapter.B.grad!.clone()];
        }
    }

    [Fact]
    public void A_start_is_taken_off_in_the_same_pass()
    {
        var model = new FieldModel((Linear)LayerKind.Linear.Make(7, 5), LayerKind.Linear.Make(5, 3));
        LoraConfig config = LoraConfig.AllLinear(rank: 2, alpha: 5) with { Initialization = AdapterInitialization.Pissa };
        using LoraModel<FieldModel> lora = LoraModel.Wrap(model, config);
        var layer = (LoraLinear)lora.Layers[0].Layer;
        layer.OnePass!.LeastNumbers = 0;
        Noise.Fill(layer.Adapter.B, 7, 0.5);
        Tensor input = Input(3, ScalarType.Float32);
        Assert.All(Pass(layer, input).Zip(Hooked(layer, () => Pass(layer, input))), pair => Adapted.AssertRelativelyClose(pair.Second, pair.First));
    }

    [Theory]
    [InlineData(100, false)]
    [InlineData(4096, true)]
    public void A_small_layer_is_left_to_the_operators(int rows, bool inOnePass)
    {
        using var layer = new LoraLinear(LayerKind.Linear.Make(7, 5), rank: 2, alpha: 5);
        Noise.Fill(layer.Adapter.B, 3, 0.5);
        Tensor input = ones(rows, 7), output = layer.call(input);
        Assert.Equal(inOnePass, layer.OnePass!.Run(input) is not null);
        using (no_grad()) Assert.NotNull(layer.OnePass.Run(input));
        layer.OnePass.LeastNumbers = 0;
        Adapted.AssertClose(layer.call(input), output);
    }

    [Fact]
    public void A_base_that_trains_keeps_its_gradients()
    {
        using LoraLinear layer = Make(LayerKind.Linear, ScalarType.Float32, 0);
        foreach (Parameter parameter in layer.BaseLayer.parameters()) parameter.requires_grad = true;
        layer.call(Input(3, ScalarType.Float32)).square().sum().backward();
        Assert.All(layer.BaseLayer.parameters(), parameter => Assert.True(parameter.grad!.abs().sum().item<float>() > 0));
    }

    internal static LoraLinear Make(LayerKind kind, ScalarType type, double dropout, long inFeatures = 7, long outFeatures = 5)
    {
        var layer = new LoraLinear(kind.Make(inFeatures, outFeatures, type), rank: 2, alpha: 5, dropout: dropout);
        if (type != layer.Adapter.A.dtype) layer.to(type);
        // As small as it is.
        layer.OnePass!.LeastNumbers = 0;
        Noise.Fill(layer.Adapter.A, 2, 0.4);
        Noise.Fill(layer.Adapter.B, 3, 0.5);
        return layer;
    }

    private static Tensor Input(int dimensions, ScalarType type)
    {
        Tensor input = TestModels.Input(dimensions, type).detach();
        input.requires_grad = true;
        return input;
    }

    // Output, and gradients of A, B and the input.
    private static Tensor[] Pass(LoraLinear layer, Tensor input)
    {
        manual_seed(5);
        layer.zero_grad();
        input.grad = null;
        Tensor output = layer.call(input);
        output.square().sum().backward();
        return [output.detach(), layer.Adapter.A.grad!.clone(), layer.Adapter.B.grad!.clone(), input.grad!.clone()];
    }

    private static T Hooked<T>(LoraLinear layer, Func<T> pass)
    {
        int seen = 0;
        var hook = layer.BaseLayer.register_forward_hook((_, _, output) =>
        {
            seen++;
            return output;
        });
        T result = pass();
        hook.remove();
        Assert.NotEqual(0, seen);
        return result;
    }
}
