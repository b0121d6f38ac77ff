using Lora.Layers;
using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.PublicApi.Tests;

/// <summary>Adapted layers that a user puts into a module of their own, without <see cref="LoraModel"/>.</summary>
public sealed class LayersByHandTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void They_train_merge_and_unmerge()
    {
        using var model = new Reader();
        Tensor words = arange(24, device: TestDevice.Current).remainder(11).view(4, 6), target = ones([4, 6], device: TestDevice.Current);
        var trained = model.parameters().Where(parameter => parameter.requires_grad).ToArray();
        Assert.Equal(12, trained.Length);
        using var optimizer = optim.AdamW(trained, lr: 0.05);
        List<float> losses = [];
        for (int step = 0; step < 30; step++)
        {
            using var scope = NewDisposeScope();
            optimizer.zero_grad();
            Tensor loss = nn.functional.mse_loss(model.call(words), target);
            loss.backward();
            optimizer.step();
            losses.Add(loss.item<float>());
        }
        Assert.True(losses[^1] < 0.5 * losses[0], $"{losses[0]} came down to {losses[^1]} only.");

        using var noGrad = no_grad();
        Tensor adapted = model.call(words);
        foreach (LoraLayer layer in model.children().OfType<LoraLayer>()) layer.Adapters.Merge(keepOriginal: true);
        Assert.True(adapted.allclose(model.call(words), atol: 1e-5));
        foreach (LoraLayer layer in model.children().OfType<LoraLayer>()) layer.Adapters.Unmerge();
        Assert.True(adapted.eq(model.call(words)).all().item<bool>());
    }

    /// <summary>Words, a grouped convolution over them, a transposed one, a fused projection and an output.</summary>
    private sealed class Reader : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> _words = new LoraEmbedding(nn.Embedding(11, 6, padding_idx: 0, device: TestDevice.Current), rank: 2, alpha: 5, paddingIndex: 0);
        private readonly nn.Module<Tensor, Tensor> _near = new LoraConv(nn.Conv1d(6, 4, 3, padding: 1, groups: 2, device: TestDevice.Current), rank: 4, alpha: 3, useDora: true);
        private readonly nn.Module<Tensor, Tensor> _wide = new LoraConvTranspose(nn.ConvTranspose1d(4, 6, 3, padding: 1, device: TestDevice.Current), rank: 2, alpha: 3);
        private readonly nn.Module<Tensor, Tensor> _fused = new LoraFusedLinear(nn.Linear(6, 9, device: TestDevice.Current), [true, false, true], rank: 2, alpha: 4);
        private readonly nn.Module<Tensor, Tensor> _out = new LoraLinear(nn.Linear(9, 1, device: TestDevice.Current), rank: 2, alpha: 4, useDora: true);

        public Reader()
            : base(nameof(Reader)) => RegisterComponents();

        public override Tensor forward(Tensor input)
        {
            using var scope = NewDisposeScope();
            Tensor x = _near.call(_words.call(input).transpose(1, 2)).tanh();
            x = _wide.call(x).transpose(1, 2).tanh();
            return _out.call(_fused.call(x).tanh()).squeeze(-1).MoveToOuterDisposeScope();
        }
    }
}
