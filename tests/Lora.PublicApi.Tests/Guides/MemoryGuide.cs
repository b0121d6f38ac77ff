using Lora.Llm;
using Lora.Optimization;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.PublicApi.Tests.Guides;

[Collection(GuideRuns.Name)]
public class MemoryGuide
{
    [Fact]
    public void Fit_into_memory()
    {
        using DisposeScope scope = NewDisposeScope();
        // snippet memory-base
        using CausalLanguageModel model = AutoModel.FromPretrained("models/Llama-3.2-1B", new PretrainedOptions { DataType = ScalarType.BFloat16 });
        using LoraModel<CausalLanguageModel> lora = LoraModel.Wrap(model, LoraConfig.AllLinear(rank: 8, alpha: 16));
        ScalarType adapters = lora.TrainableParameters()[0].dtype;  // Float32: a half-precision base gets adapters that can take small steps
        // end
        Assert.Equal(ScalarType.Float32, adapters);

        // snippet memory-checkpointing
        model.GradientCheckpointing = GradientCheckpointing.EveryBlock;           // least memory, one more forward pass
        model.GradientCheckpointing = GradientCheckpointing.OneIn(2);             // every other block
        model.GradientCheckpointing = GradientCheckpointing.WithinBudget(2L << 30); // as few blocks as 2 GiB of activations ask for
        // end

        // snippet memory-loss
        Tensor ids = tensor([3L, 5, 7, 11]).unsqueeze(0);
        Tensor loss = model.Loss(ids, labels: ids);  // in chunks of rows: the logits are never all there
        loss.backward();
        // end
        Assert.True(loss.ToDouble() > 0);

        // snippet memory-optimizer
        using var optimizer = new FlatAdamW(lora.TrainableParameters(), lr: 2e-4);
        optimizer.step();
        optimizer.zero_grad();
        // end
    }

    [Fact]
    public void Run_any_module_again_in_backward()
    {
        using DisposeScope scope = NewDisposeScope();
        var block = new Classifier();
        Tensor x = rand([4, 6]).requires_grad_(true);
        // snippet memory-checkpoint
        Tensor y = Checkpoint.Run(block, x);  // keeps x alone, and runs the block once more in backward
        // end
        y.sum().backward();
        Assert.NotNull(x.grad);
    }
}
