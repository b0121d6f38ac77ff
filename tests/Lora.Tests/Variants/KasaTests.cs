using Lora.Layers;
using Lora.Serialization;
using Lora.Tests.Models;
using Lora.Variants;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Variants;

/// <summary>KaSA computes (W − D + s·B·diag(d)·A)·x + b, and gives the base back.</summary>
public sealed class KasaTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<LayerKind> Kinds => [.. Enum.GetValues<LayerKind>().Where(kind => kind.IsLinear())];

    private static LoraConfig Config => Adapted.Config with { Kasa = new KasaOptions() };

    public void Dispose()
    {
        _folder.Dispose();
        _scope.Dispose();
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void The_output_is_that_of_the_truncated_weight_and_the_update(LayerKind kind)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, kind, ScalarType.Float64);
        Tensor input = TestModels.Input(3, ScalarType.Float64), plain = model.call(input);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, Config);
        // A fresh one computes with W − D, in which r singular values are zero.
        AssertClose(Naive(lora, input), model.call(input));
        Assert.True(Adapted.Difference(plain, model.call(input)) > 1e-3);
        Adapted.Fill(lora);
        AssertClose(Naive(lora, input), model.call(input));
        lora.SetScale("default", 0.3);
        AssertClose(Naive(lora, input), model.call(input));
        lora.Merge();
        AssertClose(Naive(lora, input, weightsAreMerged: true), model.call(input));
        lora.Unmerge();
        using (lora.Disable()) Assert.True(Adapted.Difference(plain, model.call(input)) < 1e-12);
        using (lora.UsePerSample("default", LoraModel.BaseAdapter))
        {
            AssertClose(Naive(lora, input)[0], model.call(input)[0]);
            Assert.True(Adapted.Difference(plain[1], model.call(input)[1]) < 1e-12);
        }
    }

    [Fact]
    public void Dropout_acts_on_the_update_alone()
    {
        Linear linear = (Linear)LayerKind.Linear.Make(6, 5, ScalarType.Float64);
        var model = new FieldModel(linear, nn.Identity());
        Tensor input = Noise.Fill(empty([3, 6], ScalarType.Float64, TestDevice.Current), 4, 1);
        using LoraModel<FieldModel> lora = LoraModel.Wrap(model, Config with { Dropout = 1, TargetModules = ModuleSelector.EndsWith("_first") });
        Adapted.Fill(lora);
        model.train();
        Tensor all = model.call(input);
        using (no_grad()) lora.Layers[0].Layer.Adapter.B.zero_();
        Adapted.AssertSame(all, model.call(input));
    }

    [Fact]
    public void The_regularisation_is_the_papers()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field, type: ScalarType.Float64), Config with { Kasa = new KasaOptions { Beta = 0.3, Gamma = 0.7 } });
        double expected = 0;
        foreach (LoraAdapter adapter in lora.Layers.Select(layer => layer.Layer.Adapter))
        {
            double[,] Gram(Tensor rows) => Values(rows.matmul(rows.t()));
            double Distance(double[,] gram) => Math.Sqrt(Enumerable.Range(0, 4).Sum(i => Math.Pow(gram[i / 2, i % 2] - (i / 2 == i % 2 ? 1 : 0), 2)));
            expected += 0.3 * ((KasaVariant)adapter.Variant!).Diagonal.square().sum().item<double>();
            expected += 0.7 * (Distance(Gram(adapter.A)) + Distance(Gram(adapter.B.t())));
        }
        Tensor loss = lora.KasaLoss();
        Assert.Equal(expected, loss.item<double>(), 1e-12);
        loss.backward();
        Assert.All(lora.TrainableParameters(), parameter => Assert.True(parameter.grad!.abs().sum().item<double>() > 0));
        Assert.Equal(expected, lora.KasaLoss("default").item<double>(), 1e-12);
        using (lora.Use())
            Assert.Equal("None of the adapters (none is active) has KaSA (kasa_config): there is nothing to regularise.", Assert.Throws<InvalidOperationException>(() => lora.KasaLoss()).Message);
    }

    [Fact]
    public void Files_are_PEFTs_with_the_diagonal()
    {
        Tensor saved, input = TestModels.Input();
        using (LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(TestModels.Make(Holder.Field), Config))
        {
            saved = lora.Model.call(input);
            lora.Save(_folder.Path);
            Assert.Contains("kasa_config is set, and there is no place for lora_diag", Assert.Throws<InvalidOperationException>(() => lora.SaveAdapter("default", _folder["x.safetensors"], AdapterFormat.Kohya("lora_unet"))).Message, StringComparison.Ordinal);
        }
        using (SafetensorsFile file = SafetensorsFile.Open(_folder["adapter_model.safetensors"]))
        {
            Assert.Equal(
                ["base_model.model._first.lora_A.weight", "base_model.model._first.lora_B.weight", "base_model.model._first.lora_diag"],
                file.Entries.Select(entry => entry.Name).Where(name => name.Contains("_first", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
            Assert.Equal([2], file.Entries.Single(entry => entry.Name.EndsWith("_first.lora_diag", StringComparison.Ordinal)).Shape);
        }
        using LoraModel<nn.Module<Tensor, Tensor>> loaded = LoraModel.Load(TestModels.Make(Holder.Field), _folder.Path);
        Assert.Empty(loaded.LoadReport);
        Adapted.AssertSame(saved, loaded.Model.call(input));
        Assert.Equal("_first  Linear 7→5  r=2 α=5 KaSA (swapped)", loaded.Layers[0].ToString());
        Assert.Equal((2 * (7 + 5)) + 2 + (2 * (5 + 3)) + 2, loaded.ParameterCounts.Trainable);

        string path = _folder[PeftAdapterConfig.FileName];
        File.WriteAllText(path, PeftAdapterConfig.Load(path).With(Adapted.Config).ToJson());
        Assert.Contains(
            "it belongs to KaSA, which the configuration does not ask for; set kasa_config if it was trained so",
            Assert.Throws<AdapterFormatException>(() => LoraModel.Load(TestModels.Make(Holder.Field), _folder.Path)).Message, StringComparison.Ordinal);
    }

    // PEFT's base is truncated for good: truncated again, it stays what it is.
    [Fact]
    public void On_a_truncated_base_it_computes_the_same()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, type: ScalarType.Float64);
        Tensor input = TestModels.Input(2, ScalarType.Float64), expected;
        using (LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, Config))
        {
            expected = model.call(input);
            lora.Save(_folder.Path);
        }
        using (LoraModel.Wrap(model, Config))
        {
        }
        LoraModel<nn.Module<Tensor, Tensor>> fresh = LoraModel.Wrap(model, Config);
        fresh.MergeAndUnload(); // W − D, as B is zero.
        using LoraModel<nn.Module<Tensor, Tensor>> loaded = LoraModel.Load(model, _folder.Path);
        Assert.True(Adapted.Difference(expected, model.call(input)) < 1e-12);
    }

    [Fact]
    public void Two_take_turns_and_others_may_be_beside_it()
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, type: ScalarType.Float64);
        Tensor input = TestModels.Input(2, ScalarType.Float64);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, Config);
        Tensor first = model.call(input);
        lora.AddAdapter("second", Config with { Rank = 1 });
        lora.AddAdapter("plain", Adapted.Config);
        Assert.Equal(
            "Adapters 'default' and 'second' take the same part off the base weight (KaSA): make one of them active at a time.",
            Assert.Throws<InvalidOperationException>(() => lora.SetActive("default", "second")).Message);
        Adapted.AssertSame(first, model.call(input));
        lora.SetActive("default", "plain"); // Fresh, it adds nothing.
        Assert.True(Adapted.Difference(first, model.call(input)) < 1e-12);
        lora.SetActive("second");
        Assert.True(Adapted.Difference(first, model.call(input)) > 1e-3);
        Assert.Contains("'default' has lora_diag on '_first', which cannot be combined", Assert.Throws<ArgumentException>(() => lora.Combine("x", [("default", 1)])).Message, StringComparison.Ordinal);

        lora.SetActive("plain");
        lora.Merge();
        Assert.Contains("'_first' holds adapter 'plain' in its weight, but KaSA (kasa_config) starts from the base weight: unmerge it first", Assert.Throws<ArgumentException>(() => lora.AddAdapter("third", Config)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_it_does_not_go_with_is_named()
    {
        string message = Assert.Throws<ArgumentException>((Config with { Kasa = new KasaOptions { Beta = -1, Gamma = double.NaN }, Initialization = AdapterInitialization.Mica }).Validate).Message;
        Assert.Equal(
            """
            The adapter's configuration cannot be used:
              - kasa_config: beta must be a finite number that is not negative, but is -1.
              - kasa_config: gamma must be a finite number that is not negative, but is NaN.
              - kasa_config does not go with init_lora_weights "mica": PEFT knows no such combination.
            """,
            message);
        Assert.Equal(
            ["'_second' has a weight of 3 singular values, of which KaSA (kasa_config) with the rank 3 would leave none: choose a lower rank"],
            LoraModel.Explain(TestModels.Make(Holder.Field), Config with { Rank = 3 }).Problems);
    }

    private static double[,] Values(Tensor matrix)
    {
        var values = new double[2, 2];
        for (int i = 0; i < 4; i++) values[i / 2, i % 2] = matrix[i / 2, i % 2].item<double>();
        return values;
    }

    // Dense, by matrices of the sizes of the weights.
    private static Tensor Naive(LoraModel<nn.Module<Tensor, Tensor>> lora, Tensor input, bool weightsAreMerged = false)
    {
        using var noGrad = no_grad();
        Tensor x = input;
        foreach (AdapterLayer layer in lora.Layers)
        {
            var linear = (LoraLinear)layer.Layer;
            LoraAdapter adapter = linear.Adapter;
            Tensor weight = linear.IsTransposed ? linear.BaseLayer.get_parameter("weight")!.t() : linear.BaseLayer.get_parameter("weight")!;
            if (!weightsAreMerged)
            {
                (Tensor u, Tensor s, Tensor v) = linalg.svd(weight);
                using (no_grad()) s[^adapter.Rank..] = zeros(adapter.Rank, ScalarType.Float64);
                Tensor kept = u.narrow(1, 0, s.shape[0]).matmul(diag(s)).matmul(v.narrow(0, 0, s.shape[0]));
                weight = kept.add(adapter.B.matmul(diag(((KasaVariant)adapter.Variant!).Diagonal)).matmul(adapter.A).mul(adapter.Scale));
            }
            if (layer != lora.Layers[0]) x = x.tanh();
            x = x.matmul(weight.t());
            if (linear.BaseLayer.named_parameters().Any(p => p.name == "bias")) x = x.add(linear.BaseLayer.get_parameter("bias")!);
        }
        return x;
    }

    private static void AssertClose(Tensor expected, Tensor actual)
    {
        double difference = Adapted.Difference(expected, actual);
        Assert.True(difference < 1e-12, $"The largest difference is {difference:G4}.");
    }
}
