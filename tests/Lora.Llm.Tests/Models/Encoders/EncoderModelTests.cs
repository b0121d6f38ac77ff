using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models.Encoders;

/// <summary>What encoders compute; the numbers themselves are transformers' in the golden cases.</summary>
public sealed class EncoderModelTests
{
    public static TheoryData<string, Type> All { get; } = new()
    {
        { "bert", typeof(SequenceClassifier) }, { "bert", typeof(TokenClassifier) }, { "bert", typeof(MaskedLanguageModel) },
        { "roberta", typeof(SequenceClassifier) }, { "roberta", typeof(TokenClassifier) }, { "roberta", typeof(MaskedLanguageModel) },
    };

    [Theory]
    [MemberData(nameof(All))]
    public void Padding_on_the_right_changes_nothing(string family, Type task)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        nn.Module<TextInput, Tensor> model = TinyEncoders.Make(family, task);
        Tensor ids = TinyEncoders.Ids(2, 7), wanted = model.call(ids);
        (Tensor padded, Tensor mask) = TinyEncoders.Padded(ids, 4, family == "bert" ? 0 : 2, left: false);
        Near(wanted, Real(model.call(new TextInput(padded) { AttentionMask = mask }), task, 0));
        Near(wanted, Real(model.call(new TextInput(padded) { AttentionMask = mask.to(ScalarType.Bool) }), task, 0));
        // Without the mask the padding is read.
        Assert.False(Real(model.call(padded), task, 0).allclose(wanted, 1e-3, 1e-3));
        model.Dispose();
    }

    [Theory]
    [InlineData("bert", typeof(TokenClassifier))]
    [InlineData("bert", typeof(MaskedLanguageModel))]
    [InlineData("roberta", typeof(TokenClassifier))]
    [InlineData("roberta", typeof(MaskedLanguageModel))]
    public void Padding_on_the_left_moves_the_positions_of_BERT_alone(string family, Type task)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        nn.Module<TextInput, Tensor> model = TinyEncoders.Make(family, task);
        Tensor ids = TinyEncoders.Ids(2, 7), wanted = model.call(ids);
        (Tensor padded, Tensor mask) = TinyEncoders.Padded(ids, 4, family == "bert" ? 0 : 2, left: true);
        Tensor found = Real(model.call(new TextInput(padded) { AttentionMask = mask }), task, 4);
        if (family == "roberta") Near(wanted, found);
        else
        {
            Assert.False(found.allclose(wanted, 1e-3, 1e-3));
            Tensor positions = mask.cumsum(1).sub(1).clamp_min(0);
            Near(wanted, Real(model.call(new TextInput(padded) { AttentionMask = mask, PositionIds = positions }), task, 4));
        }
        model.Dispose();
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Dropout_works_in_training_alone(string family, Type task)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        nn.Module<TextInput, Tensor> model = TinyEncoders.Make(family, task);
        Tensor ids = TinyEncoders.Ids(2, 7), wanted = model.call(ids);
        model.train();
        Assert.False(model.call(ids).allclose(model.call(ids), 1e-6, 1e-6));
        model.eval();
        Assert.True(model.call(ids).allclose(wanted, 0, 0));
        model.Dispose();
    }

    [Fact]
    public void Each_dropout_works_by_itself()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor ids = TinyEncoders.Ids(2, 7);
        BertConfig none = TinyEncoders.Bert with { HiddenDropout = 0, AttentionDropout = 0, ClassifierDropout = 0 };
        Assert.False(Varies(none));
        Assert.True(Varies(none with { HiddenDropout = 0.3 }));
        Assert.True(Varies(none with { AttentionDropout = 0.3 }));
        Assert.True(Varies(none with { ClassifierDropout = 0.3 }));

        bool Varies(BertConfig config)
        {
            BertSequenceClassifier model = TinyLlama.Filled(new BertSequenceClassifier(config, ScalarType.Float64, TestDevice.Current));
            model.train();
            return !model.call(ids).allclose(model.call(ids), 1e-9, 1e-9);
        }
    }

    [Fact]
    public void Token_types_are_zero_where_none_are_given()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        nn.Module<TextInput, Tensor> model = TinyEncoders.Make("bert", typeof(SequenceClassifier));
        Tensor ids = TinyEncoders.Ids(2, 7), wanted = model.call(ids);
        Assert.True(model.call(new TextInput(ids) { TokenTypeIds = zeros_like(ids) }).allclose(wanted, 0, 0));
        Assert.False(model.call(new TextInput(ids) { TokenTypeIds = ones_like(ids) }).allclose(wanted, 1e-3, 1e-3));
        model.Dispose();
    }

    [Theory]
    [InlineData(ScalarType.Float16)]
    [InlineData(ScalarType.BFloat16)]
    public void Rows_of_padding_alone_stay_finite_in_half_precision(ScalarType type)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        nn.Module<TextInput, Tensor> model = TinyEncoders.Make("bert", typeof(SequenceClassifier), type);
        foreach ((string name, var parameter) in model.named_parameters())
            if (name.Contains("self", StringComparison.Ordinal)) parameter.mul_(20);
        Tensor ids = TinyEncoders.Ids(2, 7), mask = ones_like(ids);
        mask[0].zero_();
        Tensor logits = model.call(new TextInput(ids) { AttentionMask = mask });
        Assert.Equal(type, logits.dtype);
        Assert.True(logits.isfinite().all().item<bool>());
        model.Dispose();
    }

    [Fact]
    public void Conversion_keeps_the_tie_of_a_masked_language_model()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        nn.Module<TextInput, Tensor> model = TinyEncoders.Make("bert", typeof(MaskedLanguageModel), ScalarType.Float32), other = TinyEncoders.Make("bert", typeof(MaskedLanguageModel));
        Tensor ids = TinyEncoders.Ids(1, 5);
        model.to(ScalarType.Float64);
        Assert.True(model.call(ids).allclose(other.call(ids), 1e-5, 1e-5));
        Assert.DoesNotContain(model.state_dict().Keys, name => name.Contains("decoder", StringComparison.Ordinal));
        model.Dispose();
        other.Dispose();
    }

    [Fact]
    public void Inputs_of_a_wrong_shape_or_type_are_refused()
    {
        using var scope = NewDisposeScope();
        nn.Module<TextInput, Tensor> model = TinyEncoders.Make("bert", typeof(SequenceClassifier)), roberta = TinyEncoders.Make("roberta", typeof(SequenceClassifier));
        Tensor ids = TinyEncoders.Ids(2, 5);
        Refuse(model, ids[0], "InputIds must be int64 of the shape [batch, length] with at least one token, but is Int64 [5].");
        Refuse(model, new TextInput(ids) { AttentionMask = ids.narrow(1, 0, 4) }, "AttentionMask must have the shape [2, 5], but is Int64 [2, 4].");
        Refuse(model, new TextInput(ids) { TokenTypeIds = ids.to(ScalarType.Float32) }, "TokenTypeIds must be int64 of the shape [2, 5], but is Float32 [2, 5].");
        Refuse(model, new TextInput(ids) { PositionIds = ids.narrow(1, 0, 1) }, "PositionIds must be int64 of the shape [2, 5] or [1, 5], but is Int64 [2, 1].");
        Refuse(model, TinyEncoders.Ids(1, 17), "InputIds has 17 tokens, but this BERT has positions for 16: cut longer texts.");
        Refuse(roberta, TinyEncoders.Ids(1, 14), "InputIds has 14 tokens, but this RoBERTa has positions for 13: cut longer texts.");
        using (no_grad()) Assert.Equal([1, 4], roberta.call(TinyEncoders.Ids(1, 13)).shape);
        model.Dispose();
        roberta.Dispose();

        static void Refuse(nn.Module<TextInput, Tensor> model, TextInput input, string text) => Assert.Equal(text, Assert.Throws<ArgumentException>(() => model.call(input)).Message);
    }

    [Fact]
    public void Configurations_that_contradict_themselves_are_refused()
    {
        BertConfig config = TinyEncoders.Bert with { HiddenSize = 20, Layers = 0, HiddenDropout = 1, NormEpsilon = 0, Labels = ["a", "a"] };
        Assert.Equal(
            string.Join('\n', "There is no such BERT:", "  - Layers must be at least 1, but is 0.", "  - HiddenSize must be a multiple of Heads (3), but is 20.",
                "  - HiddenDropout must be at least 0 and below 1, but is 1.", "  - NormEpsilon must be above 0, but is 0.", "  - Labels: two labels have the same name."),
            Assert.Throws<ArgumentException>(() => new BertTokenClassifier(config)).Message);
        Assert.Equal(
            "There is no such RoBERTa:\n  - PadTokenId must be at least 0 and leave positions behind it (16 in all), but is 15.",
            Assert.Throws<ArgumentException>(() => new RobertaTokenClassifier(TinyEncoders.Roberta with { PadTokenId = 15 })).Message);
        Assert.Throws<ArgumentException>(() => new BertTokenClassifier(TinyEncoders.Bert, ScalarType.Int32));
    }

    [Theory]
    [MemberData(nameof(All))]
    public void The_default_targets_are_those_of_PEFT(string family, Type task)
    {
        using var scope = NewDisposeScope();
        nn.Module<TextInput, Tensor> model = TinyEncoders.Make(family, task);
        using var lora = LoraModel.Wrap(model, new LoraConfig { Rank = 2, Alpha = 3 });
        Assert.Equal(
            from layer in new[] { 0, 1 } from part in new[] { "query", "value" } select $"{family}.encoder.layer.{layer}.attention.self.{part}",
            lora.Layers.Select(layer => layer.Path).Order(StringComparer.Ordinal));
        model.Dispose();
    }

    private static Tensor Real(Tensor logits, Type task, int start) => task == typeof(SequenceClassifier) ? logits : logits.narrow(1, start, 7);

    private static void Near(Tensor wanted, Tensor found) => Assert.True(found.allclose(wanted, 1e-11, 1e-11), $"{found.sub(wanted).abs().max().ToDouble():G3}");
}
