using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Llm.Blocks;

/// <summary>The weights that a new model, or a new part of one, begins with.</summary>
internal static class FreshWeights
{
    /// <summary>Draws matrices and embeddings from N(0, range²); biases become zero, and norms stay at one.</summary>
    internal static void Fill(nn.Module model, double range)
    {
        using var scope = NewDisposeScope();
        foreach ((string name, Parameter parameter) in model.named_parameters()) Fill(name, parameter, range);
    }

    /// <summary>Draws one parameter.</summary>
    internal static void Fill(string name, Parameter parameter, double range)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        if (parameter.dim() > 1) nn.init.normal_(parameter, 0, range);
        else if (name == "bias" || name.EndsWith(".bias", StringComparison.Ordinal)) parameter.zero_();
    }
}
