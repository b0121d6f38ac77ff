using Lora.Tests.Models;
using static TorchSharp.torch;

namespace Lora.Tests.Mixing;

/// <summary>Samples that part at a module keep no tensors alive.</summary>
[Collection(Alone.Name)]
public sealed class PartsPerSampleLeakTests
{
    [Theory]
    [MemberData(nameof(PartsPerSampleTests.Kinds), MemberType = typeof(PartsPerSampleTests))]
    public void Passes_in_scopes(string kind)
    {
        using LoraModel<TinyText> lora = PartsPerSampleTests.Make(kind);
        using Tensor tokens = TinyText.Tokens();
        Leaks.AssertNone(20, () =>
        {
            using (lora.UsePerSample("default", "wide"))
            {
                lora.Model.call(tokens).Dispose();
                using (no_grad()) lora.Model.call(tokens).Dispose();
            }
            using (lora.UsePerSample(LoraModel.BaseAdapter, "wide"))
            using (NewDisposeScope())
                lora.Model.call(tokens).square().mean().backward();
        });
        lora.Model.Dispose();
    }
}
