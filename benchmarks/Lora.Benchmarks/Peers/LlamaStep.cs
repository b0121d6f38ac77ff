using Lora.Layers;
using Lora.Llm;
using Lora.Optimization;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Benchmarks.Peers;

/// <summary>A training step of a Llama of 25 million parameters with adapters on all its linear layers: the task of the peers' <c>step</c>.</summary>
internal sealed class LlamaStep
{
    private readonly Func<Tensor> _loss;
    private readonly optim.Optimizer _optimizer;

    private LlamaStep(Func<Tensor> loss, IReadOnlyList<Parameter> trained)
    {
        _loss = loss;
        _optimizer = new FlatAdamW(trained, 1e-4, weightDecay: 0.01);
    }

    /// <summary>Our model with our loss, of as many layers as are asked for; narrow where the adapters have the base's type, however narrow.</summary>
    public static LlamaStep Ours(int tokens, int rank, int layers, Placement placement, bool narrow)
    {
        manual_seed(0);
        var model = new LlamaModel(new LlamaConfig
        {
            VocabularySize = PeerLlama.Vocabulary,
            HiddenSize = PeerLlama.Width,
            IntermediateSize = PeerLlama.Inner,
            Layers = layers,
            Heads = PeerLlama.Heads,
            KeyValueHeads = PeerLlama.Heads,
            HeadDimension = PeerLlama.Width / PeerLlama.Heads,
            TieEmbeddings = true,
            NormEpsilon = 1e-5,
        }, placement.Type, placement.Device);
        Tensor ids = randint(0, PeerLlama.Vocabulary, [1, tokens], device: placement.Device);
        return new(() => model.Loss(new CausalInput(ids), ids), Adapted(model, rank, oneByOne: false, new WrapOptions { UpcastAdapters = !narrow }));
    }

    /// <summary>The peers' mathematics, in which the adapted linear layers are ours, or run one operator after the other as well; on the CPU in float32.</summary>
    public static LlamaStep Theirs(int tokens, int rank, bool oneByOne)
    {
        manual_seed(0);
        var model = new PeerLlama();
        Tensor ids = randint(0, PeerLlama.Vocabulary, [1, tokens]);
        return new(Loss, Adapted(model, rank, oneByOne));

        Tensor Loss()
        {
            Tensor logits = model.call(ids);
            return nn.functional.cross_entropy(logits.narrow(1, 0, tokens - 1).reshape(-1, PeerLlama.Vocabulary), ids.narrow(1, 1, tokens - 1).reshape(-1));
        }
    }

    public void Run()
    {
        using DisposeScope scope = NewDisposeScope();
        _optimizer.zero_grad();
        _loss().backward();
        _optimizer.step();
    }

    private static IReadOnlyList<Parameter> Adapted<TModel>(TModel model, int rank, bool oneByOne, WrapOptions? options = null)
        where TModel : nn.Module
    {
        LoraModel<TModel> lora = LoraModel.Wrap(model, LoraConfig.AllLinear(rank, 2 * rank), options);
        using (no_grad())
        {
            foreach (AdapterLayer layer in lora.Layers) nn.init.normal_(layer.Layer.Adapter.B, 0, 0.02);
        }
        if (oneByOne)
        {
            // A hook is to see the base layer's own output, so that base and adapter cannot be computed in one pass.
            foreach (LoraLinear layer in lora.Layers.Select(layer => layer.Layer).OfType<LoraLinear>()) layer.BaseLayer.register_forward_hook((_, _, output) => output);
        }
        model.train();
        return lora.TrainableParameters();
    }
}
