using Lora.Llm;
using TorchSharp;
using static TorchSharp.torch;

namespace Classify;

/// <summary>What a model makes of reviews.</summary>
internal sealed class Answers(HuggingFaceTokenizer tokenizer, IReadOnlyList<Review> heldOut)
{
    /// <summary>The class of each held-out review.</summary>
    internal int[] Of(SequenceClassifier model) => Evaluate(model, logits => logits.argmax(1).cpu().data<long>().Select(label => (int)label).ToArray());

    /// <summary>The mean loss of the held-out reviews.</summary>
    internal double MeanLoss(SequenceClassifier model) => Evaluate(model, logits => ClassificationLoss.Compute(logits, Labels(model, heldOut)).ToDouble());

    /// <summary>The mean loss of some reviews.</summary>
    internal Tensor Loss(SequenceClassifier model, IReadOnlyList<Review> reviews) => ClassificationLoss.Compute(Logits(model, reviews), Labels(model, reviews));

    private T Evaluate<T>(SequenceClassifier model, Func<Tensor, T> read)
    {
        bool training = model.training;
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        model.eval();
        T result = read(Logits(model, heldOut));
        if (training) model.train();
        return result;
    }

    private Tensor Logits(SequenceClassifier model, IReadOnlyList<Review> reviews)
    {
        TokenizerBatch batch = tokenizer.EncodeBatch(reviews.Select(review => review.Text), new PaddingOptions());
        Device place = model.parameters().First().device;
        return model.call(new TextInput(batch.IdsTensor(place)) { AttentionMask = batch.AttentionMaskTensor(place) });
    }

    private static Tensor Labels(SequenceClassifier model, IReadOnlyList<Review> reviews) => tensor(reviews.Select(review => (long)review.Label).ToArray(), device: model.parameters().First().device);
}
