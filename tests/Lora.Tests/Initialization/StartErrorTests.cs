using Lora.Initialization;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Initialization;

/// <summary>What cannot be started is said before anything is changed.</summary>
public sealed class StartErrorTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(Start.Pissa, "pissa")]
    [InlineData(Start.Orthogonal, "orthogonal")]
    [InlineData(Start.Eva, "eva")]
    [InlineData(Start.LoraGa, "lora_ga")]
    public void Only_layers_with_one_matrix(Start start, string name)
    {
        nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, LayerKind.Conv2dPointwise);
        var config = new LoraConfig { Rank = 2, TargetModules = ModuleSelector.EndsWith("_first", "_second"), Initialization = Starts.Of(start, model) };
        Assert.Equal(
            $"The model cannot be wrapped:{string.Concat(((string[])["_first", "_second"]).Select(path => $"\n  - '{path}' is a Conv2d, but init_lora_weights \"{name}\" is defined for layers with one weight matrix (Linear, Conv1D): leave it out of the targets, or give it an adapter of its own with another initialisation"))} (Parameter 'config')",
            Assert.Throws<ArgumentException>(() => LoraModel.Wrap(model, config)).Message);
    }

    [Fact]
    public void Ranks_and_scales_that_a_weight_does_not_have()
    {
        nn.Module<Tensor, Tensor> model = Starts.Model();
        AssertRefused(model, Starts.Config with { Rank = 7, Initialization = AdapterInitialization.Pissa }, "'_second' has a weight of 6×8, of which init_lora_weights \"pissa\" can take at most rank 6, but the rank is 7");
        AssertRefused(model, Starts.Config with { Rank = 3, Initialization = AdapterInitialization.Orthogonal }, "'_first' has the rank 3, but init_lora_weights \"orthogonal\" needs an even one", "'_second' has the rank 3, but init_lora_weights \"orthogonal\" needs an even one");
        AssertRefused(
            model, Starts.Config with { Alpha = -1, Initialization = AdapterInitialization.Pissa },
            "'_first' has the scale -0.5, but init_lora_weights \"pissa\" divides singular values by it and takes their roots: alpha must be above 0",
            "'_second' has the scale -0.5, but init_lora_weights \"pissa\" divides singular values by it and takes their roots: alpha must be above 0");
        AssertRefused(
            model, Starts.Config with { Rank = 4, Initialization = Starts.Of(Start.LoraGa, model) },
            "'_second' has a weight of 6×8, of whose gradient init_lora_weights \"lora_ga\" takes twice the rank 4 of singular vectors: the rank must be at most 3, or Direction Random");
        AssertRefused(model, Starts.Config with { Initialization = new EvaInitialization() }, "'_first' cannot start from init_lora_weights \"eva\" without data: set Passes", "'_second' cannot start from init_lora_weights \"eva\" without data: set Passes");
    }

    [Fact]
    public void A_bias_goes_with_few_of_them() => Assert.Equal(
        "The adapter's configuration cannot be used:\n  - UseLoraBias is true, which goes with the initialisations Kaiming and TorchDefault only, but init_lora_weights \"olora\" is asked for.",
        Assert.Throws<ArgumentException>(() => (Starts.Config with { UseLoraBias = true, Initialization = AdapterInitialization.Olora }).Validate()).Message);

    [Fact]
    public void Data_that_reaches_no_layer_or_says_too_little()
    {
        nn.Module<Tensor, Tensor> model = Starts.Model();
        Assert.Equal(
            "init_lora_weights \"corda\": no pass reached '_first': run the model so that it calls every targeted layer, or leave the layer out of the targets.",
            AssertUnchanged(model, new CordaInitialization { Passes = [new(() => { })] }));
        Assert.Equal(
            "init_lora_weights \"eva\": the first pass did not reach '_first': run the model so that it calls every targeted layer, or leave the layer out of the targets.",
            AssertUnchanged(model, new EvaInitialization { Passes = [new(() => { })] }));
        Assert.Equal(
            "init_lora_weights \"lora_ga\": no gradient reached the weight of '_first': each pass must compute a loss from the model's output and call backward(), and every targeted layer must take part in it.",
            AssertUnchanged(model, new LoraGaInitialization { Passes = Starts.Passes(model, loss: false) }));
        Assert.Equal(
            "init_lora_weights \"eva\": '_first' needs at least 4 rows in a pass to find 4 directions, but no pass gave it more than 3: use larger batches, or lower the rank or Rho.",
            AssertUnchanged(model, new EvaInitialization { Passes = [new(() => model.call(Starts.Input(rows: 3)).Dispose())] }));
        Assert.Equal(
            "init_lora_weights \"eva\": after 2 passes the directions of 2 of 2 inputs still turn, the first '_first': give more or larger batches, lower Tau, or allow more passes.",
            AssertUnchanged(model, new EvaInitialization { Passes = Starts.Passes(model, loss: false), Tau = 1, MaximumPasses = 2 }));
        Assert.Equal(
            "The mask of a calibration pass has the shape [2], but the input of '_first' has [5, 9]: it must have the same without the last dimension.",
            Assert.Throws<ArgumentException>(() => LoraModel.Wrap(model, Starts.Config with { Initialization = new CordaInitialization { Passes = [new(() => model.call(Starts.Input()).Dispose(), ones(2, device: TestDevice.Current))] } })).Message);
    }

    [Fact]
    public void A_start_of_data_or_chance_cannot_be_found_again()
    {
        nn.Module<Tensor, Tensor> model = Starts.Model();
        using (LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, Starts.With(Start.Corda, model)))
        {
            Assert.Equal(
                "Adapter 'default' cannot be saved raw: init_lora_weights \"corda\" depends on data or random numbers and cannot be repeated when it is loaded. Save it in the usual form, AdapterFormat.Peft.",
                Assert.Throws<InvalidOperationException>(() => lora.SaveAdapter("default", _folder.Path, AdapterFormat.PeftRaw)).Message);
            Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
            lora.Save(_folder.Path);
        }
        string path = _folder["adapter_config.json"];
        File.WriteAllText(path, File.ReadAllText(path).Replace("\"init_lora_weights\": true", "\"init_lora_weights\": \"pissa_niter_4\"", StringComparison.Ordinal));
        Assert.Equal(
            ["adapter_config.json: init_lora_weights \"pissa_niter_4\" took the adapter's start off the base weights, and that start cannot be found again from them: load the adapter onto the base that was saved beside it with WrapOptions.BaseIsResidual, or save it as a plain one (in PEFT by path_initial_model_for_weight_conversion)."],
            Assert.Throws<AdapterFormatException>(() => LoraModel.Load(model, _folder.Path)).Problems);
        using LoraModel<nn.Module<Tensor, Tensor>> residual = LoraModel.Load(model, _folder.Path, new WrapOptions { BaseIsResidual = true });
        Assert.Equal(["init_lora_weights \"pissa_niter_4\": the base weights are taken for what the adapter's start was taken off already (BaseIsResidual)"], residual.LoadReport);
        Assert.Equal(new PissaInitialization { Iterations = 4 }, residual.Config.Initialization);
    }

    [Fact]
    public void Olora_of_a_transposed_weight_is_not_saved_raw()
    {
        nn.Module<Tensor, Tensor> model = Starts.Model(transposed: true);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, Starts.With(Start.Olora, model));
        Assert.Equal(
            "Adapter 'default' cannot be saved raw: '_second' stores its weight as [in, out], which PEFT decomposes without transposing it. Save it in the usual form, AdapterFormat.Peft.",
            Assert.Throws<InvalidOperationException>(() => lora.SaveAdapter("default", _folder.Path, AdapterFormat.PeftRaw)).Message);
    }

    [Fact]
    public void A_merged_base_is_no_base_to_start_from()
    {
        nn.Module<Tensor, Tensor> model = Starts.Model();
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, Starts.Config);
        lora.Merge();
        Assert.Equal(
            "init_lora_weights \"pissa\" looks at the base weight of '_first', which adapter 'default' is merged into: unmerge it first.",
            Assert.Throws<InvalidOperationException>(() => lora.AddAdapter("second", Starts.Config with { Initialization = AdapterInitialization.Pissa })).Message);
        Assert.Equal(["default"], lora.AdapterNames);
        lora.AddAdapter("second", Starts.Config with { Initialization = AdapterInitialization.Gaussian });
    }

    private static void AssertRefused(nn.Module<Tensor, Tensor> model, LoraConfig config, params string[] problems)
    {
        string expected = $"The model cannot be wrapped:{string.Concat(problems.Select(problem => $"\n  - {problem}"))} (Parameter 'config')";
        Assert.Equal(expected, Assert.Throws<ArgumentException>(() => LoraModel.Wrap(model, config)).Message);
        Assert.Equal(problems, LoraModel.Explain(model, config).Problems);
    }

    private static string AssertUnchanged(nn.Module<Tensor, Tensor> model, AdapterInitialization initialization)
    {
        IReadOnlyList<(string, bool)> flags = Adapted.Flags(model);
        string message = Assert.Throws<InvalidOperationException>(() => LoraModel.Wrap(model, Starts.Config with { Initialization = initialization })).Message;
        Assert.Equal(flags, Adapted.Flags(model));
        Assert.True(model.training);
        Assert.All(model.parameters(), parameter => Assert.Null(parameter.grad));
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, Starts.Config);
        return message;
    }
}
