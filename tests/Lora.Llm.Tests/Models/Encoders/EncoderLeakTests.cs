using Lora.Tests;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models.Encoders;

/// <summary>What is made outside of every scope is gone when it has been disposed by hand, and nothing else was made.</summary>
[Collection(Alone.Name)]
public sealed class EncoderLeakTests
{
    public static TheoryData<string, Type> All => EncoderModelTests.All;

    [Theory]
    [MemberData(nameof(All))]
    public void Calls_outside_of_scopes_leave_nothing_behind(string family, Type task)
    {
        using nn.Module<TextInput, Tensor> model = TinyEncoders.Make(family, task, ScalarType.Float32);
        using Tensor ids = TinyEncoders.Ids(2, 5), mask = ones_like(ids);
        foreach (bool training in new[] { true, false })
        {
            model.train(training);
            Leaks.AssertNone(5, () => model.call(new TextInput(ids) { AttentionMask = mask }).Dispose());
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Making_a_model_leaves_nothing_behind(string family, Type task) => Leaks.AssertNone(5, () =>
    {
        using var scope = NewDisposeScope();
        TinyEncoders.Make(family, task, ScalarType.Float32).Dispose();
    });

    [Fact]
    public void Loading_with_a_new_head_leaves_nothing_behind()
    {
        using var folder = EncoderFolder.Of("bert", typeof(MaskedLanguageModel));
        var options = new PretrainedOptions { Labels = ["a", "b"], Device = TestDevice.Current };
        Leaks.AssertNone(5, () => AutoModel.FromPretrained<SequenceClassifier>(folder.Path, options).Dispose());
        Leaks.AssertNone(5, () => Assert.Throws<AdapterFormatException>(() => BertSequenceClassifier.FromPretrained(folder.Path)));
    }

    [Fact]
    public void Losses_leave_nothing_but_themselves_behind()
    {
        using Tensor logits = randn(3, 4), labels = tensor(new long[] { 1, 2, 0 }), shares = zeros(3, 4), tokens = randn(3, 2, 4), classes = zeros([3, 2], dtype: ScalarType.Int64);
        Leaks.AssertNone(5, () =>
        {
            ClassificationLoss.Compute(logits, labels).Dispose();
            ClassificationLoss.Compute(logits, shares, ProblemType.MultiLabel).Dispose();
            ClassificationLoss.Compute(logits, shares, ProblemType.Regression).Dispose();
            ClassificationLoss.OfTokens(tokens, classes).Dispose();
        });
    }
}
