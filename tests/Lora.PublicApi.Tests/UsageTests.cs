using Lora.Layers;
using Lora.Optimization;
using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace Lora.PublicApi.Tests;

/// <summary>The code of the README, against the public surface alone.</summary>
public sealed class UsageTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Wrap_train_save_load_merge()
    {
        using var outer = NewDisposeScope();
        // Nothing else in this assembly draws, so the training is the same in every run.
        manual_seed(1);
        var model = new Classifier();
        Tensor x = rand([32, 6], device: TestDevice.Current), y = x.argmax(1);

        // Wrap and count.
        var config = new LoraConfig { Rank = 4, Alpha = 10, Dropout = 0.05, TargetModules = ModuleSelector.EndsWith("_hidden", "_out") };
        using LoraModel<Classifier> lora = LoraModel.Wrap(model, config);
        Assert.Equal("trainable params: 192 || all params: 438 || trainable%: 43.8356", lora.ParameterCounts.ToString());
        Assert.Equal("_hidden  Linear 6→18  r=4 α=10 (swapped)", lora.Layers[0].ToString());

        // Train with a loop of one's own.
        using var optimizer = optim.AdamW(lora.TrainableParameters(), lr: 0.03);
        float first = 0, last = 0;
        for (int step = 0; step < 60; step++)
        {
            using var scope = NewDisposeScope();
            optimizer.zero_grad();
            Tensor loss = cross_entropy(model.call(x), y);
            loss.backward();
            optimizer.step();
            last = loss.item<float>();
            if (step == 0) first = last;
        }
        Assert.True(last < 0.7 * first, $"{first} came down to {last} only.");

        // Save, and load onto another instance of the base.
        model.eval();
        using var noGrad = no_grad();
        Tensor trained = model.call(x);
        lora.Save(_folder["adapter"]);
        var other = new Classifier();
        other.load_state_dict(Base(lora).state_dict());
        using LoraModel<Classifier> again = LoraModel.Load(other, _folder["adapter"], new WrapOptions { IsTrainable = false });
        other.eval();
        Assert.Empty(again.LoadReport);
        Assert.True(trained.allclose(other.call(x)));
        var damaged = Assert.Throws<AdapterFormatException>(() => LoraModel.Load(new Other(), _folder["adapter"]));
        Assert.NotEmpty(damaged.Problems);

        // Switch off for a while.
        Tensor plain;
        using (again.Disable()) plain = other.call(x);
        Assert.False(plain.allclose(trained));

        // Merge, and leave.
        again.Merge(new MergeOptions { KeepOriginal = true });
        Assert.True(trained.allclose(other.call(x), atol: 1e-5));
        again.Unmerge();
        Classifier merged = again.MergeAndUnload();
        Assert.Same(other, merged);
        Assert.True(trained.allclose(merged.call(x), atol: 1e-5));
    }

    [Fact]
    public void Several_adapters()
    {
        using var scope = NewDisposeScope();
        var model = new Classifier();
        Tensor x = rand([3, 6], device: TestDevice.Current);
        using LoraModel<Classifier> lora = LoraModel.Wrap(model, LoraConfig.AllLinear(rank: 2, alpha: 6));
        lora.AddAdapter("style", LoraConfig.AllLinear(rank: 3, alpha: 5));
        using (no_grad())
            foreach (var parameter in lora.TrainableParameters()) parameter.uniform_(-0.5, 0.5);
        lora.SaveAdapter("style", _folder["style"]);
        lora.DeleteAdapter("style");
        lora.LoadAdapter("style", _folder["style"]);

        Tensor sql = model.call(x), style, plain;
        using (lora.Use("style")) style = model.call(x);
        using (lora.Disable()) plain = model.call(x);
        using (lora.UsePerSample("default", "style", LoraModel.BaseAdapter))
            Assert.True(cat([sql.narrow(0, 0, 1), style.narrow(0, 1, 1), plain.narrow(0, 2, 1)], 0).allclose(model.call(x), atol: 1e-5));

        lora.SetActive("default", "style");
        Tensor both = model.call(x);
        CombineResult sum = lora.Combine("blend", [("default", 1), ("style", 1)], new CombineOptions { Method = CombineMethod.Svd, Rank = 5 });
        Assert.Equal(2, sum.Layers.Count);
        lora.SetActive("blend");
        Assert.True(both.allclose(model.call(x), atol: 1e-4));
    }

    [Fact]
    public void Another_start_another_form_another_optimizer()
    {
        using var scope = NewDisposeScope();
        var model = new Classifier();
        Tensor x = rand([16, 6], device: TestDevice.Current), plain = model.call(x).detach();
        LoraConfig config = LoraConfig.AllLinear(rank: 2, alpha: 6) with { Initialization = AdapterInitialization.Pissa };
        using LoraModel<Classifier> lora = LoraModel.Wrap(model, config);
        lora.AddAdapter("dora", config with { Initialization = AdapterInitialization.Gaussian, UseDora = true });
        foreach (string name in lora.AdapterNames)
        {
            lora.SetActive(name);
            Assert.True(plain.allclose(model.call(x), atol: 1e-5));
            lora.SetTrainable(false);
            lora.SetTrainable(true, name);
            using var loraPlus = new FlatAdamW(lora.ParameterGroups(new GroupOptions { LearningRate = 2e-3, UpRatio = 16, WeightDecay = 0.01 }));
            loraPlus.zero_grad();
            model.call(x).square().sub(2).square().mean().backward();
            loraPlus.step();
            Assert.False(plain.allclose(model.call(x), atol: 1e-5));
        }
        using (lora.Disable()) Assert.True(plain.allclose(model.call(x)));
    }

    [Fact]
    public void A_layer_in_a_module_of_ones_own()
    {
        using var scope = NewDisposeScope();
        using var model = new Own();
        Assert.Equal(["_project.default.lora_A", "_project.default.lora_B"], model.named_parameters().Where(p => p.parameter.requires_grad).Select(p => p.name));
        Assert.Equal([2, 3, 8], model.call(rand([2, 3, 8], device: TestDevice.Current)).shape);
    }

    // What a user has as a second copy of the base: here it is taken out of the trained one.
    private static Classifier Base(LoraModel<Classifier> lora)
    {
        var copy = new Classifier();
        copy.load_state_dict(lora.Model.state_dict()
            .Where(pair => !pair.Key.Contains("lora_", StringComparison.Ordinal))
            .ToDictionary(pair => pair.Key.Replace(".base_layer", "", StringComparison.Ordinal), pair => pair.Value));
        return copy;
    }

    private sealed class Classifier : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> _hidden = nn.Linear(6, 18, device: TestDevice.Current);
        private readonly nn.Module<Tensor, Tensor> _out = nn.Linear(18, 6, hasBias: false, device: TestDevice.Current);
        private readonly nn.Module<Tensor, Tensor> _norm = nn.LayerNorm(6, device: TestDevice.Current);

        public Classifier()
            : base(nameof(Classifier)) => RegisterComponents();

        public override Tensor forward(Tensor input) => _norm.call(_out.call(relu(_hidden.call(input))));
    }

    private sealed class Other : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> _hidden = nn.Linear(6, 5, device: TestDevice.Current);

        public Other()
            : base(nameof(Other)) => RegisterComponents();

        public override Tensor forward(Tensor input) => _hidden.call(input);
    }

    private sealed class Own : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> _project = new LoraLinear(nn.Linear(8, 8, device: TestDevice.Current), rank: 2, alpha: 6);

        public Own()
            : base(nameof(Own)) => RegisterComponents();

        public override Tensor forward(Tensor input) => _project.call(input);
    }
}
