using Lora.Llm.Tests.Data;
using Lora.Llm.Tests.Models;
using Lora.Tests;
using TorchSharp;
using static Lora.Llm.Tests.Training.TinyTraining;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Training;

/// <summary>What only holds when nothing else draws random numbers or makes tensors in the process.</summary>
[Collection(Alone.Name)]
public sealed class TrainingAloneTests
{
    private static readonly CancellationToken Token = TestContext.Current.CancellationToken;
    private static readonly JsonlDataset Data = TinyData.Copying(24);

    [Fact]
    public void A_seed_reproduces_a_training_bit_for_bit_and_another_gives_another()
    {
        int threads = get_num_threads();
        set_num_threads(1);
        try
        {
            double[] one = Losses(42);
            Assert.Equal(one, Losses(42));
            Assert.NotEqual(one, Losses(43));
        }
        finally
        {
            set_num_threads(threads);
        }

        static double[] Losses(long seed)
        {
            using LlamaModel model = TinyLlama.Make();
            using LoraModel<LlamaModel> lora = Wrap(model, Config with { Dropout = 0.2 });
            rand(5).Dispose(); // what was drawn before does not matter
            var trainer = new LoraTrainer<LlamaModel>(lora, new TrainingOptions { Steps = 8, LearningRate = 1e-2, Seed = seed });
            return [.. trainer.Train(Data, Data, cancellationToken: Token).Steps.SelectMany(step => new[] { step.Loss, step.GradientNorm, step.EvaluationLoss ?? 0 })];
        }
    }

    [Fact]
    public void Dropout_draws_from_the_seed()
    {
        Assert.NotEqual(FirstLoss(0.5, 1), FirstLoss(0, 1));
        Assert.Equal(FirstLoss(0.5, 1), FirstLoss(0.5, 1));

        static double FirstLoss(double dropout, long seed)
        {
            using LlamaModel model = TinyLlama.Make();
            using LoraModel<LlamaModel> lora = Wrap(model, Config with { Dropout = dropout });
            return new LoraTrainer<LlamaModel>(lora, new TrainingOptions { Steps = 1, Seed = seed }).Train(Data, cancellationToken: Token).Steps[0].Loss;
        }
    }

    [Fact]
    public void Two_hundred_steps_leave_nothing_behind()
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model, Config with { Dropout = 0.1 });
        Leaks.AssertNone(1, Train);

        void Train()
        {
            var options = new TrainingOptions { Steps = 200, BatchSize = 2, GradientAccumulation = 2, EvaluationInterval = 50 };
            new LoraTrainer<LlamaModel>(lora, options).Train(Data, Data, cancellationToken: Token);
        }
    }

    [Fact]
    public void A_training_that_fails_or_is_cancelled_leaves_nothing_behind()
    {
        using LlamaModel model = TinyLlama.Make();
        using LoraModel<LlamaModel> lora = Wrap(model);
        using var source = new CancellationTokenSource();
        source.Cancel();
        var trainer = new LoraTrainer<LlamaModel>(lora, new TrainingOptions { Steps = 3 });
        trainer.Train(Data, cancellationToken: Token);
        Leaks.AssertNone(5, () => Assert.Throws<OperationCanceledException>(() => trainer.Train(Data, cancellationToken: source.Token)));
        Leaks.AssertNone(5, () => Assert.Throws<ArithmeticException>(() => trainer.Train(Data, progress: new Reports(_ => throw new ArithmeticException()), cancellationToken: Token)));
    }
}
