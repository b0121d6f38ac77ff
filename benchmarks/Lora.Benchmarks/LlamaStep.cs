using Lora.Layers;
using Lora.Llm;
using Lora.Optimization;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Benchmarks;

/// <summary>A training step of a Llama of 25 million parameters with adapters on all its linear layers: the task of the peers' <c>step</c>, float32.</summary>
internal sealed class LlamaStep
{
    private readonly LlamaModel _model;
    private readonly optim.Optimizer _optimizer;
    private readonly Tensor _ids;

    /// <param name="tokens">The number of tokens.</param>
    /// <param name="rank">The rank.</param>
    /// <param name="oneByOne">Whether the operators of adapted layers run one after the other.</param>
    public LlamaStep(int tokens, int rank, bool oneByOne)
    {
        manual_seed(0);
        _model = new LlamaModel(new LlamaConfig
        {
            VocabularySize = 4096,
            HiddenSize = 512,
            IntermediateSize = 1376,
            Layers = 8,
            Heads = 8,
            KeyValueHeads = 8,
            HeadDimension = 64,
            TieEmbeddings = true,
            NormEpsilon = 1e-5,
        });
        LoraModel<LlamaModel> lora = LoraModel.Wrap(_model, LoraConfig.AllLinear(rank, 2 * rank));
        using (no_grad())
        {
            foreach (AdapterLayer layer in lora.Layers) nn.init.normal_(layer.Layer.Adapter.B, 0, 0.02);
        }
        if (oneByOne)
        {
            foreach (LoraLinear layer in lora.Layers.Select(layer => layer.Layer).OfType<LoraLinear>()) layer.BaseLayer.register_forward_hook((_, _, output) => output);
        }
        _optimizer = new FlatAdamW(lora.TrainableParameters(), 1e-4, weightDecay: 0.01);
        _ids = randint(0, 4096, [1, tokens]);
        _model.train();
    }

    public void Run()
    {
        using DisposeScope scope = NewDisposeScope();
        _optimizer.zero_grad();
        _model.Loss(new CausalInput(_ids), _ids).backward();
        _optimizer.step();
    }
}
