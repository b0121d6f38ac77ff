using Lora.Layers;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Layers;

/// <summary>Layers that read the same input, called together, give what they give one by one, with the gradients, whatever of them is adapted.</summary>
/// <remarks>Dropout draws torch's global random numbers.</remarks>
[Collection(Alone.Name)]
public sealed class SharedInputTests : IDisposable
{
    private const int In = 7;

    // Three widths, of which two are adapters' with other ranks and scales than each other's.
    private static readonly int[] s_widths = [5, 3, 6], s_ranks = [2, 3, 4];

    private readonly DisposeScope _scope = NewDisposeScope();

    public static IEnumerable<TheoryDataRow<LayerKind, string, int, ScalarType>> Cases =>
        from kind in Enum.GetValues<LayerKind>()
        where kind.IsLinear()
        from adapted in new[] { "yyy", "y-y", "--y", "yb-", "sss" }
        from dimensions in new[] { 2, 3 }
        from type in new[] { ScalarType.Float32, ScalarType.Float64 }
        select new TheoryDataRow<LayerKind, string, int, ScalarType>(kind, adapted, dimensions, type);

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Cases))]
    public void Outputs_and_gradients_are_those_of_single_calls(LayerKind kind, string adapted, int dimensions, ScalarType type)
    {
        nn.Module<Tensor, Tensor>[] layers = Make(kind, adapted, type);
        Tensor input = Input(dimensions, type);
        Assert.NotNull(SharedInput.Together(input, layers));
        (Tensor[] together, Tensor[] alone) = (Pass(layers, input, SharedInput.Call), Pass(layers, input, OneByOne));
        Assert.Equal(4 + 2 * layers.OfType<LoraLinear>().Count(layer => layer.Adapters.Contributing.Length > 0), together.Length);
        Assert.All(together, tensor => Assert.True(tensor.abs().sum().ToDouble() > 0));
        Assert.All(alone.Zip(together), pair => Adapted.AssertRelativelyClose(pair.First, pair.Second));
    }

    [Theory]
    [InlineData(true, false, true)]
    [InlineData(false, true, true)]
    [InlineData(true, true, false)]
    [InlineData(true, false, false)]
    public void Only_what_trains_gets_a_gradient(bool trainsA, bool trainsB, bool needsInput)
    {
        nn.Module<Tensor, Tensor>[] layers = Make(LayerKind.Linear, "y-y", ScalarType.Float64);
        LoraAdapter first = ((LoraLinear)layers[0]).Adapter, last = ((LoraLinear)layers[2]).Adapter;
        (first.A.requires_grad, first.B.requires_grad) = (trainsA, trainsB);
        Tensor input = Input(3, ScalarType.Float64).detach();
        input.requires_grad = needsInput;
        Loss(SharedInput.Together(input, layers)!).backward();
        Tensor?[] gradients = [first.A.grad, first.B.grad, input.grad, last.A.grad, last.B.grad];
        Assert.Equal([trainsA, trainsB, needsInput, true, true], gradients.Select(gradient => gradient is not null));

        (first.A.requires_grad, first.B.requires_grad) = (true, true);
        input.requires_grad = true;
        Tensor[] all = Pass(layers, input, OneByOne);
        Tensor[] expected = [all[3], all[4], all[^1], all[5], all[6]];
        Assert.All(gradients.Zip(expected).Where(pair => pair.First is not null), pair => Adapted.AssertRelativelyClose(pair.Second, pair.First!));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void What_is_not_used_gets_no_gradient(int used)
    {
        nn.Module<Tensor, Tensor>[] layers = Make(LayerKind.Linear, "y-y", ScalarType.Float64);
        Tensor input = Input(2, ScalarType.Float64);
        SharedInput.Together(input, layers)![used].square().sum().backward();
        Tensor[] found = [input.grad!.clone(), .. Gradients(layers)];
        Assert.Equal(layers[used] is LoraLinear ? 3 : 1, found.Length);
        Clear(layers, input);
        layers[used].call(input).square().sum().backward();
        Tensor[] expected = [input.grad!.clone(), .. Gradients(layers)];
        Assert.All(expected.Zip(found, (one, other) => (one, other)), pair => Adapted.AssertRelativelyClose(pair.one, pair.other));
    }

    [Fact]
    public void Gradients_of_gradients_are_those_of_single_calls()
    {
        nn.Module<Tensor, Tensor>[] layers = Make(LayerKind.Transposed, "y-y", ScalarType.Float64);
        Tensor input = Input(2, ScalarType.Float64);
        Assert.All(Penalty(OneByOne).Zip(Penalty(SharedInput.Call)), pair => Adapted.AssertRelativelyClose(pair.First, pair.Second));

        Tensor[] Penalty(Calls calls)
        {
            Parameter[] factors = [.. layers.OfType<LoraLinear>().SelectMany(layer => new[] { layer.Adapter.A, layer.Adapter.B })];
            Tensor loss = calls(input, layers).Aggregate(zeros(1, ScalarType.Float64, TestDevice.Current), (sum, output) => sum.add(output.tanh().sum()));
            IList<Tensor> gradients = autograd.grad([loss], [input, .. factors], retain_graph: true, create_graph: true);
            Clear(layers, input);
            gradients.Aggregate(zeros(1, ScalarType.Float64, TestDevice.Current), (sum, gradient) => sum.add(gradient.square().sum())).backward();
            return [.. gradients.Select(gradient => gradient.detach()), input.grad!.clone(), .. Gradients(layers)];
        }
    }

    [Fact]
    public void The_same_layer_may_be_called_twice()
    {
        nn.Module<Tensor, Tensor>[] layers = Make(LayerKind.Linear, "yy-", ScalarType.Float64);
        layers = [layers[0], layers[1], layers[0]];
        Tensor input = Input(2, ScalarType.Float64);
        Assert.NotNull(SharedInput.Together(input, layers));
        Assert.All(Pass(layers, input, OneByOne).Zip(Pass(layers, input, SharedInput.Call)), pair => Adapted.AssertRelativelyClose(pair.First, pair.Second));
    }

    [Theory]
    [InlineData("hook on a layer")]
    [InlineData("hook on a base")]
    [InlineData("hook on a plain layer")]
    [InlineData("dropout")]
    [InlineData("DoRA")]
    [InlineData("bias of an adapter")]
    [InlineData("two adapters")]
    [InlineData("a base that trains")]
    [InlineData("a plain layer that trains")]
    [InlineData("another class")]
    [InlineData("another type")]
    [InlineData("no gradients")]
    [InlineData("no adapter")]
    [InlineData("small")]
    [InlineData("one layer")]
    public void They_are_called_one_by_one_where_it_has_to_be(string why)
    {
        nn.Module<Tensor, Tensor>[] layers = Make(LayerKind.Linear, "y-y", ScalarType.Float32, settings: why switch
        {
            "dropout" => (0.3, false, false),
            "DoRA" => (0, true, false),
            "bias of an adapter" => (0, false, true),
            _ => (0, false, false),
        });
        var first = (LoraLinear)layers[0];
        int seen = 0;
        switch (why)
        {
            case "hook on a layer": first.register_forward_hook(Seen); break;
            case "hook on a base": first.BaseLayer.register_forward_hook(Seen); break;
            case "hook on a plain layer": layers[1].register_forward_hook(Seen); break;
            case "two adapters":
                first.Adapters.Add("more", AdapterSettings.Of(2, 3, 0, false, false, false));
                first.Adapters.SetActive(LoraModel.DefaultAdapter, "more");
                break;
            case "a base that trains": ((Linear)first.BaseLayer).weight.requires_grad = true; break;
            case "a plain layer that trains": ((Linear)layers[1]).weight.requires_grad = true; break;
            case "another class": layers[1] = nn.Sequential(("0", layers[1])); break;
            case "another type": first.BaseLayer.to(ScalarType.Float64); break;
            case "no adapter": layers = Make(LayerKind.Linear, "---", ScalarType.Float32); break;
            case "small":
                foreach (LoraLinear layer in layers.OfType<LoraLinear>()) layer.OnePass!.LeastNumbers = 49_152;
                break;
            case "one layer": layers = layers[..1]; break;
        }
        Tensor input = Input(2, ScalarType.Float32);
        using IDisposable mode = why == "no gradients" ? no_grad() : enable_grad();
        Assert.Null(SharedInput.Together(input, layers));
        if (why == "another type") return;
        manual_seed(3);
        Tensor[] together = SharedInput.Call(input, layers);
        manual_seed(3);
        Tensor[] alone = OneByOne(input, layers);
        Assert.All(alone.Zip(together), pair => Adapted.AssertSame(pair.First, pair.Second));
        Assert.Equal(why.StartsWith("hook", StringComparison.Ordinal) ? 2 : 0, seen);

        Tensor Seen(nn.Module<Tensor, Tensor> module, Tensor given, Tensor output)
        {
            seen++;
            return output;
        }
    }

    [Fact]
    public void Each_layer_counts_its_calls()
    {
        nn.Module<Tensor, Tensor>[] layers = Make(LayerKind.Linear, "yby", ScalarType.Float32);
        Tensor input = Input(2, ScalarType.Float32);
        Assert.NotNull(SharedInput.Together(input, layers));
        SharedInput.Call(input, layers);
        Assert.All(layers, layer => Assert.Equal(2, ((ILoraLayer)layer).Calls));
    }

    [Fact]
    public void A_sum_of_gradients_is_made_once()
    {
        const long Rows = 300, Width = 640, Out = 512;
        nn.Module<Tensor, Tensor>[] layers = [.. Enumerable.Range(0, 3).Select(_ => OnePassTests.Make(LayerKind.Linear, ScalarType.Float32, 0, Width, Out))];
        using Tensor input = Noise.Fill(empty([Rows, Width], device: TestDevice.Current), 4, 1), gradient = Noise.Fill(empty([Rows, Out], device: TestDevice.Current), 5, 1);
        input.requires_grad = true;
        Step();
        long narrow = (Rows + Width + Out) * 6 * 4 * sizeof(float), outputs = 3 * Rows * Out * sizeof(float), wide = Rows * Width * sizeof(float);
        // The package and the backend alike make one more tensor like each output when the graph is made.
        Assert.InRange(AllocatedMemory.PeakOf(Step), outputs + wide, 2 * outputs + wide + narrow);
        Leaks.AssertNone(20, Step);

        void Step()
        {
            using var scope = NewDisposeScope();
            autograd.backward(SharedInput.Together(input, layers)!, [gradient, gradient, gradient]);
            Clear(layers, input);
        }
    }

    [Fact]
    public void Without_input_or_layer_it_says_so()
    {
        using var layer = nn.Linear(In, 5);
        using Tensor input = ones(2, In);
        Assert.Equal("input", Assert.Throws<ArgumentNullException>(() => SharedInput.Call(null!, layer)).ParamName);
        Assert.Equal("layers", Assert.Throws<ArgumentNullException>(() => SharedInput.Call(input, layer, null!)).ParamName);
        Assert.Empty(SharedInput.Call(input));
    }

    private delegate Tensor[] Calls(Tensor input, params ReadOnlySpan<nn.Module<Tensor, Tensor>> layers);

    private static Tensor[] OneByOne(Tensor input, params ReadOnlySpan<nn.Module<Tensor, Tensor>> layers)
    {
        List<Tensor> outputs = [];
        foreach (nn.Module<Tensor, Tensor> layer in layers) outputs.Add(layer.call(input));
        return [.. outputs];
    }

    // For each sign a layer: y adapted, s adapted with the scale of all, b adapted with the adapter out of use, - plain and frozen.
    private static nn.Module<Tensor, Tensor>[] Make(LayerKind kind, string adapted, ScalarType type, (double Dropout, bool Dora, bool Bias) settings = default) =>
    [
        .. adapted.Select((sign, i) =>
        {
            nn.Module<Tensor, Tensor> layer = kind.Make(In, s_widths[i], type, seed: 10 * i + 1);
            if (sign == '-')
            {
                foreach (Parameter parameter in layer.parameters()) parameter.requires_grad = false;
                return layer;
            }
            double alpha = sign == 's' ? 2.5 * s_ranks[i] : 3 + i;
            var lora = new LoraLinear(layer, s_ranks[i], alpha, settings.Dropout, hasBias: settings.Bias, useDora: settings.Dora);
            if (type != lora.Adapter.A.dtype) lora.to(type);
            lora.OnePass!.LeastNumbers = 0;
            Noise.Fill(lora.Adapter.A, 20 + i, 0.4);
            Noise.Fill(lora.Adapter.B, 30 + i, 0.5);
            if (sign == 'b') lora.Adapters.SetActive();
            return lora;
        }),
    ];

    private static Tensor Input(int dimensions, ScalarType type)
    {
        Tensor input = TestModels.Input(dimensions, type).detach();
        input.requires_grad = true;
        return input;
    }

    // Outputs, and gradients of every A, every B and the input.
    private static Tensor[] Pass(nn.Module<Tensor, Tensor>[] layers, Tensor input, Calls calls)
    {
        Clear(layers, input);
        Tensor[] outputs = calls(input, layers);
        Loss(outputs).backward();
        return [.. outputs.Select(output => output.detach()), .. Gradients(layers), input.grad!.clone()];
    }

    private static Tensor Loss(Tensor[] outputs) => outputs.Select(output => output.square().sum()).Aggregate((sum, term) => sum.add(term));

    private static IEnumerable<Tensor> Gradients(IEnumerable<nn.Module> layers) =>
        layers.Distinct().SelectMany(layer => layer.parameters()).Where(parameter => parameter.grad is not null).Select(parameter => parameter.grad!.clone());

    private static void Clear(IEnumerable<nn.Module> layers, Tensor input)
    {
        foreach (nn.Module layer in layers) layer.zero_grad();
        input.grad = null;
    }
}
