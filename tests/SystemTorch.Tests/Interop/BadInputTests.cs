using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace SystemTorch.Tests.Interop;

/// <summary>What would end the process, or read foreign memory, if it reached libtorch unchecked.</summary>
[Collection(Alone.Name)]
public sealed class BadInputTests
{
    [Fact]
    public void Matmul_WithShapesThatDoNotFit_SaysSo()
    {
        using Tensor a = ones(2, 3), b = ones(2, 3);
        Assert.Contains("mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)", Assert.Throws<ExternalException>(() => a.matmul(b)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Gradients_OfWhatNeedsNone_SayWhich()
    {
        using Tensor x = ones(2, 3), y = x.mul(2).sum();
        Assert.Contains("does not require grad", Assert.Throws<ExternalException>(() => autograd.grad([y], [x])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Gradients_OfAnUnusedInput_AreAnErrorOrNotThere()
    {
        using Tensor x = ones(2, 3, requires_grad: true), unused = ones(3, requires_grad: true), y = x.mul(2).sum();
        Assert.Contains("appears to not have been used", Assert.Throws<ExternalException>(() => autograd.grad([y], [unused])).Message, StringComparison.Ordinal);
        using Tensor missing = autograd.grad([y], [unused], allow_unused: true)[0];
        Assert.True(missing.IsInvalid);
    }

    [Fact]
    public void Gradients_OfNothing_AreAnError()
    {
        using Tensor x = ones(2, 3, requires_grad: true), y = x.mul(2).sum();
        Assert.Throws<ExternalException>(() => autograd.grad([null!], [x]));
        Assert.Throws<ExternalException>(() => autograd.grad([y], [null!]));
        Assert.Throws<ExternalException>(() => autograd.backward([null!]));
        Assert.Throws<ArgumentNullException>(() => autograd.grad(null!, [x]));
    }

    [Fact]
    public void TooFewOutputGradients_AreRefused()
    {
        using Tensor x = ones(2, 3, requires_grad: true), y = x.mul(2), z = x.mul(3), seed = ones(2, 3);
        Assert.Equal("got 2 tensors and 1 gradients", Assert.Throws<ArgumentException>(() => autograd.grad([y, z], [x], [seed])).Message);
        Assert.Equal("got 2 tensors and 1 gradients", Assert.Throws<ArgumentException>(() => autograd.backward([y, z], [seed])).Message);
    }

    [Fact]
    public void OutputGradient_OfAnotherShape_IsRefused()
    {
        using Tensor x = ones(2, 3, requires_grad: true), y = x.mul(2), seed = ones(5);
        Assert.Contains("[5]", Assert.Throws<ExternalException>(() => y.backward([seed])).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    public void SetNumThreads_ToNone_IsRefused(int count) =>
        Assert.Contains("positive number of threads", Assert.Throws<ExternalException>(() => set_num_threads(count)).Message, StringComparison.Ordinal);

    [Fact]
    public void SetState_OfNull_IsRefused()
    {
        using var generator = new Generator(1);
        Assert.Throws<ArgumentNullException>(() => generator.set_state(null!));
    }

    [Fact]
    public void DisposedTensor_IsRefusedEverywhere()
    {
        Tensor gone = ones(2, 3);
        gone.Dispose();
        gone.Dispose();
        Action[] uses =
        [
            () => gone.add(1), () => gone.add_(1), () => _ = gone.shape, () => _ = gone.dtype, () => _ = gone.grad, () => gone.grad = null, () => gone.backward(),
            () => gone.item<float>(), () => gone.data<float>(), () => _ = gone.bytes, () => gone.save("unused"), () => _ = gone[0], () => gone.requires_grad = true,
            () => cat([gone]), () => _ = new TorchSharp.Modules.Parameter(gone),
        ];
        Assert.All(uses, use => Assert.Throws<InvalidOperationException>(use));
    }

    [Fact]
    public void ElementsOutsideOfTheMemory_AreNotRead()
    {
        using Tensor one = ones(1), many = one.expand(1000), t = arange(6f);
        Assert.Throws<ArgumentOutOfRangeException>(() => many.ReadCpuSingle(999));
        Assert.Equal(1f, many.ReadCpuSingle(0));
        Assert.Throws<ArgumentOutOfRangeException>(() => t.data<float>().CopyTo(new float[3], tensorIndex: -2));
        Assert.Throws<ArgumentOutOfRangeException>(() => t.data<float>().CopyFrom(new float[3], tensorIndex: -2));
        Assert.Throws<IndexOutOfRangeException>(() => t.data<float>()[-1]);
        Assert.Throws<IndexOutOfRangeException>(() => t.data<float>()[6]);
    }

    [Theory]
    [InlineData(new byte[] { 99, 1, 3 }, "The file is no tensor: there is no element type 99.")]
    [InlineData(new byte[] { 255, 1, 1, 3 }, "The file is no tensor: there is no element type 255.")]
    [InlineData(new byte[] { 6, 255, 255, 255, 7 }, "The file is no tensor: it would have 16777215 dimensions.")]
    public void Load_OfADamagedFile_SaysWhatIsWrong(byte[] content, string message)
    {
        using var stream = new MemoryStream(content);
        Assert.Equal(message, Assert.Throws<InvalidDataException>(() => Tensor.Load(stream)).Message);
    }

    [Fact]
    public void ANullAmongTensors_IsRefused()
    {
        using Tensor x = ones(2);
        Assert.Contains("null", Assert.Throws<ExternalException>(() => cat([x, null!])).Message, StringComparison.Ordinal);
        Assert.Contains("null", Assert.Throws<ExternalException>(() => stack([x, null!])).Message, StringComparison.Ordinal);
        Assert.Throws<ExternalException>(() => stack([]));
    }

    [Fact]
    public void Attention_OfInputsWithoutABatch_SaysWhatItTakes()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = ones(3, 4);
        Assert.Contains("[length, batch, features]", Assert.Throws<ExternalException>(() => nn.MultiheadAttention(4, 2).call(x, x, x)).Message, StringComparison.Ordinal);
        Assert.Throws<ExternalException>(() => nn.TransformerEncoderLayer(4, 2, 8).call(x));
    }

    [Fact]
    public void AnAttentionMaskOfIntegers_IsRefused()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = ones(1, 2, 3, 4), mask = ones(3, 3, dtype: ScalarType.Int64);
        Assert.Contains("attn_mask", Assert.Throws<ExternalException>(() => nn.functional.scaled_dot_product_attention(x, x, x, mask)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void APaddingIndexBeyondTheTable_IsRefused() => Assert.Throws<ExternalException>(() => nn.Embedding(3, 2, padding_idx: 3));

    [Fact]
    public void LoadingAMissingFile_NamesIt() =>
        Assert.Equal("/no/such/folder/x.dat", Assert.Throws<FileNotFoundException>(() => nn.Linear(1, 1).load("/no/such/folder/x.dat")).Message);

    [Fact]
    public void ATensorDisposedByManyThreads_IsDeletedOnce()
    {
        long left = LiveHandles.LeftBy(() =>
        {
            for (int round = 0; round < 200; round++)
            {
                Tensor tensor = ones(2);
                Parallel.For(0, 8, _ => tensor.Dispose());
            }
        });
        Assert.Equal(0, left);
    }
}
