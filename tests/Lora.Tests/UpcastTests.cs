using Lora.Layers;
using Lora.Serialization;
using Lora.Tests.Layers.Parameters;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests;

/// <summary>Without <see cref="WrapOptions.UpcastAdapters"/> the factors over a half-precision base are of its type: in memory, in the forward pass and in the file.</summary>
public sealed class UpcastTests : IDisposable
{
    private static readonly WrapOptions _narrow = new() { UpcastAdapters = false };

    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();
    private readonly IDisposable _noGrad = no_grad();

    public static MatrixTheoryData<LayerKind, ScalarType> Cases => new(
        [LayerKind.Linear, LayerKind.Transposed, LayerKind.FusedLinear, LayerKind.Embedding, LayerKind.Conv2dRectangular, LayerKind.ConvTranspose1d],
        [ScalarType.BFloat16, ScalarType.Float16]);

    public void Dispose()
    {
        _noGrad.Dispose();
        _folder.Dispose();
        _scope.Dispose();
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Factors_have_the_bases_type_and_keep_it_in_the_file(LayerKind kind, ScalarType type)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, kind, type), exact = TestModels.Make(Holder.Field, kind, ScalarType.Float64), again = TestModels.Make(Holder.Field, kind, type);
        foreach (((_, Parameter source), (_, Parameter target)) in model.named_parameters().Zip(exact.named_parameters())) target.copy_(source);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, kind.Config(model), kind.Options(model) with { UpcastAdapters = false });
        Assert.All(lora.TrainableParameters(), parameter => Assert.Equal(type, parameter.dtype));
        lora.AddAdapter("late", kind.Config(model));
        Assert.All(lora.AdapterTensors("late"), tensor => Assert.Equal(type, tensor.Value.dtype));
        Tensor input = kind.Input(3, type), output = model.call(input);
        Assert.Equal(type, output.dtype);
        lora.DeleteAdapter("late");
        lora.Save(_folder.Path);
        using (SafetensorsFile file = SafetensorsFile.Open(_folder[AdapterFolder.WeightsName])) Assert.All(file.Entries, entry => Assert.Equal(type, entry.Type.ToScalarType()));

        // The rounded factors over the rounded weights, in float64.
        using LoraModel<nn.Module<Tensor, Tensor>> wide = LoraModel.Load(exact, _folder.Path, kind.Options(exact));
        Adapted.AssertClose(exact.call(kind.IsEmbedding() ? input : input.to(ScalarType.Float64)).to(type), output);

        using LoraModel<nn.Module<Tensor, Tensor>> loaded = LoraModel.Load(again, _folder.Path, kind.Options(again) with { UpcastAdapters = false });
        Assert.All(loaded.TrainableParameters(), parameter => Assert.Equal(type, parameter.dtype));
        Adapted.AssertSame(output, again.call(input));
        loaded.Merge();
        Adapted.AssertClose(output, again.call(input));
    }

    [Theory]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Float16)]
    public void So_have_those_of_attentions_and_of_raw_parameters(ScalarType type)
    {
        using AttentionModel attention = AttentionModel.Make(swap: true, type);
        using LoraModel<AttentionModel> first = AttentionModel.Filled(LoraModel.Wrap(attention, AttentionModel.Config, _narrow));
        using var mixture = new MixtureModel(type);
        using LoraModel<MixtureModel> second = AttentionModel.Filled(LoraModel.Wrap(mixture, MixtureModel.Config, _narrow));
        Assert.All(first.TrainableParameters().Concat(second.TrainableParameters()), parameter => Assert.Equal(type, parameter.dtype));
        Assert.Equal((type, type), (attention.call(AttentionModel.Input(type)).dtype, mixture.call(MixtureModel.Input(type)).dtype));
        first.Save(_folder["first"]);
        second.Save(_folder["second"]);
        foreach (string folder in new[] { "first", "second" })
        {
            using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(_folder[folder], AdapterFolder.WeightsName));
            Assert.All(file.Entries, entry => Assert.Equal(type, entry.Type.ToScalarType()));
        }
    }

    [Fact]
    public void Loaded_with_upcasting_they_are_float32_of_the_same_values()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, type: ScalarType.BFloat16);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, options: _narrow), wide = Load();
        foreach (AdapterLayer layer in wide.Layers)
        {
            LoraAdapter narrow = lora.Layers.Single(other => other.Path == layer.Path).Layer.Adapter;
            Adapted.AssertSame(narrow.A.to(ScalarType.Float32), layer.Layer.Adapter.A);
            Adapted.AssertSame(narrow.B.to(ScalarType.Float32), layer.Layer.Adapter.B);
        }

        LoraModel<nn.Module<Tensor, Tensor>> Load()
        {
            lora.Save(_folder.Path);
            return LoraModel.Load(TestModels.Make(Holder.Field, type: ScalarType.BFloat16), _folder.Path);
        }
    }
}
