using Lora.Layers;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.PublicApi.Tests.Guides;

// snippet own-model
public sealed class Classifier : nn.Module<Tensor, Tensor>
{
    // Typed as Module<Tensor, Tensor>: an adapted layer can take the place of a plain one.
    [ComponentName(Name = "hidden")]
    private readonly nn.Module<Tensor, Tensor> _hidden = nn.Linear(6, 18);

    [ComponentName(Name = "out")]
    private readonly nn.Module<Tensor, Tensor> _out = nn.Linear(18, 4);

    public Classifier()
        : base(nameof(Classifier)) => RegisterComponents();

    public override Tensor forward(Tensor input) => _out.call(nn.functional.relu(_hidden.call(input)));
}
// end

// snippet own-layer
public sealed class Gate : nn.Module<Tensor, Tensor>
{
    [ComponentName(Name = "project")]
    private readonly LoraLinear _project = new(nn.Linear(6, 6), rank: 4, alpha: 8);

    public Gate()
        : base(nameof(Gate)) => RegisterComponents();

    public override Tensor forward(Tensor input) => input * sigmoid(_project.call(input));
}
// end

// snippet own-shared
public sealed class GatedPart : nn.Module<Tensor, Tensor>
{
    [ComponentName(Name = "gate")]
    private readonly nn.Module<Tensor, Tensor> _gate = nn.Linear(96, 256);

    [ComponentName(Name = "up")]
    private readonly nn.Module<Tensor, Tensor> _up = nn.Linear(96, 256);

    public GatedPart()
        : base(nameof(GatedPart)) => RegisterComponents();

    public override Tensor forward(Tensor input)
    {
        Tensor[] both = SharedInput.Call(input, _gate, _up);
        return nn.functional.silu(both[0]).mul(both[1]);
    }
}
// end

public sealed class ScaledLinear(long input, long output) : nn.Module<Tensor, Tensor>(nameof(ScaledLinear))
{
    public Parameter Weight { get; } = nn.Parameter(rand(output, input));

    public override Tensor forward(Tensor input) => matmul(input, Weight.t());
}

[Collection(GuideRuns.Name)]
public class OwnModelGuide
{
    [Fact]
    public void Layers_of_one_input()
    {
        using DisposeScope scope = NewDisposeScope();
        var model = new GatedPart();
        using LoraModel<GatedPart> lora = LoraModel.Wrap(model, LoraConfig.AllLinear(rank: 2, alpha: 4));
        using (no_grad())
        {
            foreach (AdapterLayer layer in lora.Layers) nn.init.normal_(layer.Layer.Adapter.B);
        }
        Tensor input = rand(200, 96), together = model.call(input);
        together.sum().backward();
        Assert.Equal([200, 256], together.shape);
        Assert.All(lora.TrainableParameters(), parameter => Assert.True(parameter.grad!.abs().sum().ToDouble() > 0));
    }

    [Fact]
    public void Adapt_train_save_load()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(3);
        Tensor x = rand(32, 6), y = x.argmax(1).remainder(4);
        // snippet own-wrap
        var model = new Classifier();
        var config = new LoraConfig
        {
            Rank = 8,
            Alpha = 16,
            Dropout = 0.05,
            TargetModules = ModuleSelector.EndsWith("hidden", "out"),
        };
        LoraExplanation plan = LoraModel.Explain(model, config); // what would happen, layer by layer; print it to read it
        using LoraModel<Classifier> lora = LoraModel.Wrap(model, config);
        ParameterCounts counts = lora.ParameterCounts;           // trainable params: 368 || all params: 570 || trainable%: 64.5614
        // end
        Assert.Empty(plan.Problems);
        Assert.Equal("trainable params: 368 || all params: 570 || trainable%: 64.5614", counts.ToString());

        // snippet own-train
        using var optimizer = optim.AdamW(lora.TrainableParameters(), lr: 0.02);
        model.train();
        for (int step = 0; step < 50; step++)
        {
            using DisposeScope scopeOfStep = NewDisposeScope();
            optimizer.zero_grad();
            Tensor loss = nn.functional.cross_entropy(model.call(x), y);
            loss.backward();
            optimizer.step();
        }

        model.eval();
        // end
        Tensor trained = model.call(x);

        // snippet own-save
        lora.Save("out/classifier");               // adapter_config.json and adapter_model.safetensors
        using (lora.Disable())
        {
            Tensor plain = model.call(x);          // what the base model says
        }

        // end
        var other = new Classifier();
        using (lora.Disable()) other.load_state_dict(BaseWeights(lora));

        // snippet own-load
        using LoraModel<Classifier> loaded = LoraModel.Load(other, "out/classifier", new WrapOptions { IsTrainable = false });
        // end
        other.eval();
        Assert.True(trained.allclose(other.call(x), atol: 1e-6));
    }

    [Fact]
    public void Layers_by_hand_and_of_other_types()
    {
        using DisposeScope scope = NewDisposeScope();
        using var gate = new Gate();
        Assert.Equal([3, 6], gate.call(rand(3, 6)).shape);

        // snippet own-kind
        var options = new WrapOptions
        {
            // Any module with a weight of shape [out, in] counts as a linear layer once it is named.
            LayerKinds = [new LinearKind<ScaledLinear>(layer => layer.Weight, layer => null)],
        };
        var model = nn.Sequential(("scaled", new ScaledLinear(6, 5)), ("out", nn.Linear(5, 4)));
        using LoraModel<Sequential> lora = LoraModel.Wrap(model, LoraConfig.AllLinear(rank: 2, alpha: 4), options);
        // end
        Assert.Equal(["scaled", "out"], lora.Layers.Select(layer => layer.Path));
    }

    private static Dictionary<string, Tensor> BaseWeights(LoraModel<Classifier> lora) =>
        lora.Model.state_dict()
            .Where(pair => !pair.Key.Contains("lora_", StringComparison.Ordinal))
            .ToDictionary(pair => pair.Key.Replace(".base_layer", "", StringComparison.Ordinal), pair => pair.Value);
}
