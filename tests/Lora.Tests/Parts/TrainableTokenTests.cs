using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Parts;

/// <summary>Rows of an embedding that take the place of the base's, compared with the same rows written into the weight.</summary>
public sealed class TrainableTokenTests : IDisposable
{
    private static readonly int[] _indices = [7, 3, 10];
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Output_and_gradients_are_those_of_a_changed_weight(bool tie)
    {
        LoraConfig config = PartAdapters.Config with { TrainableTokens = TrainableTokens.Of(_indices) };
        using var model = new TinyText(tie, ScalarType.Float64);
        using LoraModel<TinyText> lora = PartAdapters.Wrap(model, config);
        Parameter rows = lora.AdapterTensors("default").Single(tensor => tensor.Key == "base_model.model.tokens.token_adapter.trainable_tokens_delta").Value;
        Tensor output = model.call(TinyText.Tokens());
        output.square().sum().backward();

        using var changed = new TinyText(tie, ScalarType.Float64);
        using LoraModel<TinyText> plain = PartAdapters.Wrap(changed, PartAdapters.Config);
        Parameter weight = ((Embedding)changed.TokenEmbedding!).weight!;
        using (no_grad()) weight.index_copy_(0, tensor(_indices.Select(i => (long)i).ToArray(), device: TestDevice.Current), rows.detach());
        weight.requires_grad = true;
        Tensor expected = changed.call(TinyText.Tokens());
        expected.square().sum().backward();

        Assert.Equal([3, TinyText.Width], rows.shape);
        Adapted.AssertClose(expected, output);
        for (int i = 0; i < _indices.Length; i++) Assert.True(Adapted.Difference(weight.grad![_indices[i]], rows.grad![i]) < 1e-12);
    }

    [Fact]
    public void Merging_writes_the_rows_and_no_others_and_unmerging_restores_them_bit_for_bit()
    {
        using var model = new TinyText(tie: true);
        byte[] before = Adapted.Bits(((Embedding)model.TokenEmbedding!).weight!);
        using LoraModel<TinyText> lora = PartAdapters.Wrap(model, PartAdapters.Config with { TrainableTokens = TrainableTokens.Of(_indices) });
        byte[] rows = Adapted.Bits(lora.AdapterTensors("default")[^1].Value);
        lora.Merge();
        byte[] after = Adapted.Bits(((Embedding)model.TokenEmbedding!).weight!);
        int width = TinyText.Width * sizeof(float);
        for (int token = 0; token < TinyText.Vocabulary; token++)
        {
            int row = Array.IndexOf(_indices, token);
            Assert.Equal(row < 0 ? before[(token * width)..((token + 1) * width)] : rows[(row * width)..((row + 1) * width)], after[(token * width)..((token + 1) * width)]);
        }
        lora.Unmerge();
        Assert.Equal(before, Adapted.Bits(((Embedding)model.TokenEmbedding!).weight!));
    }

    [Fact]
    public void Rows_of_two_adapters_work_together_where_they_differ()
    {
        using var model = new TinyText(tie: true);
        using LoraModel<TinyText> lora = PartAdapters.Wrap(model, PartAdapters.Config with { TrainableTokens = TrainableTokens.Of(3, 7) });
        lora.AddAdapter("b", PartAdapters.Config with { TrainableTokens = TrainableTokens.In("tokens", 0, 10) });
        PartAdapters.Fill(lora, "b", 700);
        lora.SetActive("default", "b");
        Tensor both = PartAdapters.Output(model);
        lora.Merge();
        Adapted.AssertClose(both, PartAdapters.Output(model));
        lora.Unmerge("b");
        lora.Unmerge("default");
        Adapted.AssertClose(both, PartAdapters.Output(model));
    }

    [Fact]
    public void Half_precision_weights_get_float32_rows()
    {
        using var model = new TinyText(type: ScalarType.BFloat16);
        Tensor before = PartAdapters.Output(model);
        using LoraModel<TinyText> lora = LoraModel.Wrap(model, PartAdapters.Config with { TrainableTokens = TrainableTokens.Of(_indices) });
        Assert.Equal(ScalarType.Float32, lora.AdapterTensors("default")[^1].Value.dtype);
        Adapted.AssertSame(before, PartAdapters.Output(model));
    }

    [Fact]
    public void A_damaged_row_is_not_merged()
    {
        using var model = new TinyText();
        using LoraModel<TinyText> lora = PartAdapters.Wrap(model, PartAdapters.Config with { TrainableTokens = TrainableTokens.Of(_indices) });
        IReadOnlyList<(string, string)> weights = Adapted.Weights(model);
        using (no_grad()) lora.AdapterTensors("default")[^1].Value.fill_(double.NaN);
        Assert.Equal(
            "Merging adapter 'default' would put a NaN or an infinity into 'tokens' by trainable_token_indices: the adapter is damaged. Nothing was merged.",
            Assert.Throws<InvalidOperationException>(() => lora.Merge()).Message);
        Assert.Equal(weights, Adapted.Weights(model));
        Assert.False(lora.IsMerged);
    }
}
