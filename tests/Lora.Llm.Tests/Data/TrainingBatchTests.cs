using TorchSharp;
using Lora.Tests;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Data;

public sealed class TrainingBatchTests
{
    private static readonly TrainingExample Long = new([5, 6, 7, 8], [-100, -100, 7, 8]), Short = new([3, 4], [3, 4]);

    [Fact]
    public void Shorter_examples_are_padded_on_the_right()
    {
        using TrainingBatch batch = TrainingBatch.Collate([Short, Long], padTokenId: 9, TestDevice.Current);
        Assert.Equal([3, 4, 9, 9, 5, 6, 7, 8], Values(batch.InputIds));
        Assert.Equal([3, 4, -100, -100, -100, -100, 7, 8], Values(batch.Labels));
        Assert.Equal([1, 1, 0, 0, 1, 1, 1, 1], Values(batch.AttentionMask!));
        Assert.All(new[] { batch.InputIds, batch.Labels, batch.AttentionMask! }, tensor =>
        {
            Assert.Equal([2, 4], tensor.shape);
            Assert.Equal(ScalarType.Int64, tensor.dtype);
            Assert.Equal(TestDevice.Current.type, tensor.device.type);
        });
        Assert.Equal((6, 3), (batch.Tokens, batch.LearnedTokens));
    }

    [Fact]
    public void Examples_of_one_length_need_no_mask()
    {
        using TrainingBatch batch = TrainingBatch.Collate([Short, Short], padTokenId: 9);
        Assert.Null(batch.AttentionMask);
        Assert.Equal([3, 4, 3, 4], Values(batch.InputIds));
    }

    [Fact]
    public void A_batch_outlives_the_scope_it_was_made_in_and_releases_its_tensors()
    {
        TrainingBatch batch;
        using (NewDisposeScope()) batch = TrainingBatch.Collate([Short, Long], 0);
        Assert.False(batch.InputIds.IsInvalid);
        batch.Dispose();
        Assert.All(new[] { batch.InputIds, batch.Labels, batch.AttentionMask! }, tensor => Assert.True(tensor.IsInvalid));
    }

    [Fact]
    public void What_makes_no_batch_is_refused()
    {
        Assert.Equal("There is no example to make a batch of. (Parameter 'examples')", Assert.Throws<ArgumentException>(() => TrainingBatch.Collate([], 0)).Message);
        Assert.Equal(
            "An example has 3 tokens, but 2 labels. (Parameter 'examples')",
            Assert.Throws<ArgumentException>(() => TrainingBatch.Collate([Short, new TrainingExample([1, 2, 3], [1, 2])], 0)).Message);
    }

    private static long[] Values(Tensor tensor) => tensor.cpu().data<long>().ToArray();
}
