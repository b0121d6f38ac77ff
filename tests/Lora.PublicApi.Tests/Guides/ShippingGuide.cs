// Readers of a guide have no test context: the code stands as they would write it.
#pragma warning disable xUnit1051
using Lora.Export;
using Lora.Llm;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.PublicApi.Tests.Guides;

[Collection(GuideRuns.Name)]
public class ShippingGuide
{
    [Fact]
    public void Merge_in_memory_and_on_disk()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(2);
        using CausalLanguageModel model = AutoModel.FromPretrained("models/Llama-3.2-1B");
        using LoraModel<CausalLanguageModel> lora = LoraModel.Wrap(model, LoraConfig.AllLinear(rank: 3, alpha: 5));
        using (no_grad())
        {
            foreach (var parameter in lora.TrainableParameters()) parameter.uniform_(-0.05, 0.05);
        }

        lora.Save("out/shipped");
        Tensor input = tensor([3L, 5, 7, 11]).unsqueeze(0), wanted;
        using (no_grad()) wanted = model.call(input);

        // snippet ship-merge
        lora.Merge(new MergeOptions { KeepOriginal = true });   // no extra work in a forward pass from here on
        lora.Unmerge();                                         // the base weights bit for bit
        // end

        // snippet ship-disk
        CheckpointMergeResult merged = CheckpointMerge.Run("models/Llama-3.2-1B", ["out/shipped"], "out/merged");
        foreach (MergedTensor tensor in merged.Tensors)
        {
            string line = $"{tensor.Name}: moved by {tensor.RelativeChange:P1}, rounded by at most {tensor.LargestRounding}";
        }

        // end
        using CausalLanguageModel again = AutoModel.FromPretrained("out/merged");
        using (no_grad()) Assert.True(wanted.allclose(again.call(input), rtol: 1e-4, atol: 1e-4));

        // snippet ship-unload
        CausalLanguageModel plain = lora.MergeAndUnload();      // the model without adapters, with changed weights
        // end
        Assert.Same(model, plain);
    }
}
