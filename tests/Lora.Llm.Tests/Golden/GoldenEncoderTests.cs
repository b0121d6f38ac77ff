using Lora.Tests.Golden;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Golden;

/// <summary>Classifiers and masked language models saved by transformers, with adapters and heads trained by PEFT: logits, gradients and whole trainings are theirs.</summary>
public sealed class GoldenEncoderTests(ITestOutputHelper output)
{
    public static IEnumerable<TheoryDataRow<string>> SequenceCases => Cases("ForSequenceClassification");

    public static IEnumerable<TheoryDataRow<string>> TokenCases => Cases("ForTokenClassification");

    public static IEnumerable<TheoryDataRow<string>> MaskedCases => Cases("ForMaskedLM");

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(SequenceCases))]
    [Trait("Golden", "E")]
    public void Sequence_classifiers_agree(string name) => Run(name, golden => new Sequences(golden));

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(TokenCases))]
    [Trait("Golden", "E")]
    public void Token_classifiers_agree(string name) => Run(name, golden => new Tokens(golden));

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(MaskedCases))]
    [Trait("Golden", "E")]
    public void Masked_language_models_agree(string name) => Run(name, golden => new Masked(golden));

    private static IEnumerable<TheoryDataRow<string>> Cases(string kind) => GoldenFolder.Cases('E')
        .Where(name => GoldenFolder.BaseClass(name)?.EndsWith(kind, StringComparison.Ordinal) == true).Select(name => new TheoryDataRow<string>(name));

    private void Run<TModel>(string name, Func<GoldenCase, PretrainedRunner<TModel>> make)
        where TModel : nn.Module
    {
        using var golden = new GoldenCase(name);
        PretrainedRunner<TModel> runner = make(golden);
        runner.RunAll();
        runner.Train();
        Assert.NotEqual(0, golden.Compared);
        output.WriteLine($"{golden.Compared} tensors compared");
    }

    private static TextInput Input(IReadOnlyDictionary<string, Tensor> inputs) => new(inputs["input_ids"])
    {
        AttentionMask = inputs.GetValueOrDefault("attention_mask"),
        TokenTypeIds = inputs.GetValueOrDefault("token_type_ids"),
        PositionIds = inputs.GetValueOrDefault("position_ids"),
    };

    private sealed class Sequences(GoldenCase golden) : PretrainedRunner<SequenceClassifier>(golden)
    {
        protected override Tensor Forward(SequenceClassifier model, IReadOnlyDictionary<string, Tensor> inputs) => model.call(Input(inputs));

        protected override Tensor Loss(SequenceClassifier model, IReadOnlyDictionary<string, Tensor> batch) =>
            ClassificationLoss.Compute(Forward(model, batch), batch["labels"], model.ProblemType);
    }

    private sealed class Tokens(GoldenCase golden) : PretrainedRunner<TokenClassifier>(golden)
    {
        protected override Tensor Forward(TokenClassifier model, IReadOnlyDictionary<string, Tensor> inputs) => model.call(Input(inputs));

        protected override Tensor Loss(TokenClassifier model, IReadOnlyDictionary<string, Tensor> batch) => ClassificationLoss.OfTokens(Forward(model, batch), batch["labels"]);
    }

    private sealed class Masked(GoldenCase golden) : PretrainedRunner<MaskedLanguageModel>(golden)
    {
        protected override Tensor Forward(MaskedLanguageModel model, IReadOnlyDictionary<string, Tensor> inputs) => model.call(Input(inputs));

        protected override Tensor Loss(MaskedLanguageModel model, IReadOnlyDictionary<string, Tensor> batch) => ClassificationLoss.OfTokens(Forward(model, batch), batch["labels"]);
    }
}
