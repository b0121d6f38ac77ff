namespace Lora.Llm.Tests.Data;

public sealed class BatchPlanTests
{
    // 103 examples, each known by its first token, with lengths from 2 to 30.
    private static readonly TrainingExample[] Examples =
        [.. Enumerable.Range(0, 103).Select(i => new TrainingExample([i, .. Enumerable.Repeat(1, 1 + i * 37 % 29)], [.. Enumerable.Repeat(1, 2 + i * 37 % 29)]))];

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Every_epoch_holds_every_example_once_in_an_order_of_its_own(bool grouped)
    {
        var plan = TextPlan.Of(Examples, 8, grouped, seed: 5);
        Assert.Equal(13, plan.BatchesPerEpoch);
        int[][][] epochs = [.. plan.Batches().Take(39).Select(Ids).Chunk(13)];
        Assert.All(epochs, epoch =>
        {
            Assert.Equal(Enumerable.Range(0, 103), epoch.SelectMany(ids => ids).Order());
            Assert.All(epoch, batch => Assert.InRange(batch.Length, 7, 8));
        });
        Assert.NotEqual(epochs[0].SelectMany(ids => ids), epochs[1].SelectMany(ids => ids));
        Assert.NotEqual(epochs[1].SelectMany(ids => ids), epochs[2].SelectMany(ids => ids));
        Assert.NotEqual(Enumerable.Range(0, 103), epochs[0].SelectMany(ids => ids));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_seed_gives_the_same_order_and_another_gives_another(bool grouped)
    {
        int[] one = Order(5);
        Assert.Equal(one, Order(5));
        Assert.NotEqual(one, Order(6));
        Assert.NotEqual(Order(1L << 40), Order(1L << 41));

        int[] Order(long seed) => [.. TextPlan.Of(Examples, 8, grouped, seed).Batches().Take(26).SelectMany(Ids)];
    }

    [Theory]
    [InlineData(true, null)]
    [InlineData(false, null)]
    [InlineData(false, 40)]
    public void Batches_from_a_place_on_are_those_of_all(bool grouped, int? packed)
    {
        var plan = TextPlan.Of(Examples, 8, grouped, seed: 5, packed);
        List<int[]> all = [.. plan.Batches().Take(40).Select(Ids)];
        foreach (int first in new[] { 0, 1, plan.BatchesPerEpoch - 1, plan.BatchesPerEpoch, plan.BatchesPerEpoch + 1, 3 * plan.BatchesPerEpoch + 2 }.Where(first => first < 37))
            Assert.Equal(all.Skip(first).Take(3), plan.Batches(first).Take(3).Select(Ids));
    }

    [Fact]
    public void Groups_of_like_length_need_little_padding()
    {
        Assert.True(Padding(grouped: true) * 4 < Padding(grouped: false));

        static int Padding(bool grouped) => TextPlan.Of(Examples, 8, grouped, seed: 5).Batches().Take(13)
            .Sum(batch => batch.Sum(example => batch.Max(other => other.InputIds.Count) - example.InputIds.Count));
    }

    private static int[] Ids(IReadOnlyList<TrainingExample> batch) => [.. batch.Select(example => example.InputIds[0])];
}
