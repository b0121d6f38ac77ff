using Lora.Llm.Tests.Models;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Data;

public sealed class PackingTests
{
    private static readonly TrainingExample[] Examples = [.. Enumerable.Range(0, 41).Select(i => Example(2 + i * 7 % 23, i))];

    [Theory]
    [InlineData(24)]
    [InlineData(31)]
    [InlineData(64)]
    public void Every_row_fits_every_example_is_there_once_and_the_first_row_with_room_is_taken(int capacity)
    {
        int[] order = [.. Enumerable.Range(0, Examples.Length)];
        new Random(3).Shuffle(order);
        List<int>[] rows = Packing.FirstFitDecreasing(order, i => Examples[i].InputIds.Count, capacity);
        Assert.Equal(order.Order(), rows.SelectMany(row => row).Order());

        var naive = new List<List<int>>();
        foreach (int example in order.OrderByDescending(i => Examples[i].InputIds.Count))
        {
            List<int>? row = naive.Find(row => row.Sum(i => Examples[i].InputIds.Count) + Examples[example].InputIds.Count <= capacity);
            if (row is null) naive.Add(row = []);
            row.Add(example);
        }
        Assert.Equal(naive, rows);
        Assert.All(rows, row => Assert.InRange(row.Sum(i => Examples[i].InputIds.Count), 1, capacity));
    }

    [Fact]
    public void An_epoch_of_packed_batches_holds_every_example_once_and_pads_less()
    {
        var packed = TextPlan.Of(Examples, 3, groupByLength: true, seed: 5, packedLength: 32);
        var plain = TextPlan.Of(Examples, 3, groupByLength: false, seed: 5);
        IReadOnlyList<TrainingExample>[] epoch = [.. packed.Batches().Take(packed.BatchesPerEpoch)], next = [.. packed.Batches().Skip(packed.BatchesPerEpoch).Take(packed.BatchesPerEpoch)];
        Assert.Equal(Examples.SelectMany(e => e.InputIds).Order(), epoch.SelectMany(b => b).SelectMany(e => e.InputIds).Order());
        Assert.Equal(Examples.Length, epoch.SelectMany(b => b).Sum(e => e.Starts.Count));
        Assert.Equal(Examples.Sum(e => e.LearnedTokens), next.SelectMany(b => b).Sum(e => e.LearnedTokens));
        Assert.NotEqual(epoch.SelectMany(b => b).SelectMany(e => e.InputIds), next.SelectMany(b => b).SelectMany(e => e.InputIds));
        Assert.Equal(epoch.SelectMany(b => b).SelectMany(e => e.InputIds), TextPlan.Of(Examples, 3, true, 5, 32).Batches().Take(packed.BatchesPerEpoch).SelectMany(b => b).SelectMany(e => e.InputIds));

        int tokens = Examples.Sum(e => e.InputIds.Count), computed = Positions(epoch), padded = Positions(plain.Batches().Take(plain.BatchesPerEpoch));
        Assert.True(computed < 1.1 * tokens && computed < padded, $"{tokens} tokens: {computed} positions packed, {padded} padded");

        static int Positions(IEnumerable<IReadOnlyList<TrainingExample>> batches) => batches.Sum(batch => batch.Count * batch.Max(e => e.InputIds.Count));
    }

    [Fact]
    public void A_packed_batch_knows_its_texts()
    {
        TrainingExample pack = TrainingExample.Pack([new([5, 6, 7], [5, 6, 7]), new([8, 9], [-100, 9])]), nested = TrainingExample.Pack([new([1], [1]), pack]);
        Assert.Equal([0, 3], pack.Starts);
        Assert.Equal([0, 1, 4], nested.Starts);
        Assert.Equal([-100, 6, 7, -100, 9], pack.Labels);
        using TrainingBatch batch = TrainingBatch.Collate([pack, nested], 3);
        Assert.Equal([0, 0, 0, 1, 1, 1, 0, 1, 1, 1, 2, 2], batch.SequenceIds!.data<long>().ToArray());
        Assert.Equal([0, 1, 2, 0, 1, 2, 0, 0, 1, 2, 0, 1], batch.PositionIds!.data<long>().ToArray());
        Assert.Equal([1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1], batch.AttentionMask!.data<long>().ToArray());
        Assert.Equal("There is no example to pack. (Parameter 'examples')", Assert.Throws<ArgumentException>(() => TrainingExample.Pack([])).Message);
    }

    [Fact]
    public void Packed_losses_and_gradients_are_those_of_the_examples_alone()
    {
        using LlamaModel llama = TinyLlama.Make(dataType: ScalarType.Float64);
        using MistralModel mistral = TinyDecoders.Mistral(4);
        using Qwen2Model qwen2 = TinyDecoders.Qwen2(ScalarType.Float64);
        using Qwen3Model qwen3 = TinyDecoders.Qwen3(ScalarType.Float64);
        using Gemma2Model gemma2 = TinyDecoders.Gemma2();
        using Gemma3Model gemma3 = TinyDecoders.Gemma3();
        using Phi3Model phi3 = TinyDecoders.Phi3();
        using Gpt2Model gpt2 = TinyDecoders.Gpt2();
        Compare(llama);
        Compare(mistral);
        Compare(qwen2);
        Compare(qwen3);
        Compare(gemma2);
        Compare(gemma3);
        Compare(phi3);
        Compare(gpt2);

        static void Compare<TModel>(TModel model)
            where TModel : CausalLanguageModel
        {
            using LoraModel<TModel> lora = LoraModel.Wrap(model, new LoraConfig { Rank = 3, Alpha = 5, TargetModules = ModuleSelector.AllLinear });
            using (no_grad())
            using (var generator = new Generator(4))
            using (NewDisposeScope())
            {
                foreach (Parameter parameter in lora.TrainableParameters()) parameter.copy_(randn(parameter.shape, generator: generator).mul(0.1));
            }
            // Dropout would draw other numbers for other rows.
            model.eval();
            var trainer = new LoraTrainer<TModel>(lora);
            TrainingExample[] some = [Example(9, 1), Example(2, 2), Example(6, 3), Example(11, 4), Example(5, 5)];
            (double loss, _) = trainer.AddGradients([.. some.Select(example => new[] { example })]);
            double[] wanted = Gradients();
            foreach (Parameter parameter in lora.TrainableParameters()) parameter.grad = null;
            (double packed, int tokens) = trainer.AddGradients([[TrainingExample.Pack([some[0], some[1], some[2]]), TrainingExample.Pack([some[3], some[4]])]]);
            double[] found = Gradients();
            Assert.Equal(33, tokens);
            Assert.Equal(loss, packed, 1e-12 * loss);
            double largest = wanted.Max(Math.Abs);
            Assert.True(largest > 1e-3);
            for (int i = 0; i < wanted.Length; i++) Assert.Equal(wanted[i], found[i], 1e-12 * largest);

            double[] Gradients()
            {
                using var scope = NewDisposeScope();
                return [.. lora.TrainableParameters().SelectMany(parameter => TinyLlama.Values(parameter.grad!))];
            }
        }
    }

    [Fact]
    public void What_does_not_fit_is_refused()
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Training.TinyTraining.Wrap(model);
        JsonlDataset data = TinyData.Copying(8);
        int[] lengths = [.. data.Examples.Select(e => e.InputIds.Count)];
        int first = Array.FindIndex(lengths, length => length > 6), more = lengths.Count(length => length > 6) - 1;
        var error = Assert.Throws<ArgumentException>(() => new LoraTrainer<LlamaModel>(lora, new TrainingOptions { PackedLength = 6 }).Train(data, cancellationToken: TestContext.Current.CancellationToken));
        Assert.Equal($"Example {first + 1} of {data.Path} has {lengths[first]} tokens, and {more} more are too long, but PackedLength is 6: raise it, or read the data with a smaller MaxLength. (Parameter 'data')", error.Message);
        TrainingResult result = new LoraTrainer<LlamaModel>(lora, new TrainingOptions { PackedLength = 24, BatchSize = 2 }).Train(data, cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(lengths.Sum(), result.Steps.Sum(step => step.Tokens));

        using var scope = NewDisposeScope();
        Tensor ids = TinyLlama.Ids(1, 5);
        Assert.Equal("SequenceIds must be int64 of the shape [1, 5], but is Int64 [1, 4].", Assert.Throws<ArgumentException>(() => model.call(new CausalInput(ids) { SequenceIds = ids.narrow(1, 0, 4) })).Message);
        using KeyValueCache cache = model.NewCache(8);
        Assert.Equal("SequenceIds cannot go with a Cache, which does not know the texts of the tokens before.", Assert.Throws<ArgumentException>(() => model.call(new CausalInput(ids) { SequenceIds = ids, Cache = cache })).Message);
    }

    private static TrainingExample Example(int length, int first)
    {
        int[] ids = [.. Enumerable.Range(0, length).Select(i => (first * 5 + i * 11 + i * i) % 37)];
        return new TrainingExample(ids, [.. ids.Select((id, i) => i % 4 == 3 ? TrainingExample.IgnoredLabel : id)]);
    }
}
