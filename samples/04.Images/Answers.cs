using Lora.Llm;
using TorchSharp;
using static TorchSharp.torch;

namespace Images;

/// <summary>What a model makes of pictures.</summary>
internal static class Answers
{
    /// <summary>The class of each picture.</summary>
    internal static int[] Of(ImageClassifier model, Pictures pictures) => Evaluate(model, pictures, (logits, _) => logits.argmax(1).cpu().data<long>().Select(label => (int)label).ToArray());

    /// <summary>The mean loss of all pictures.</summary>
    internal static double MeanLoss(ImageClassifier model, Pictures pictures) => Evaluate(model, pictures, (logits, classes) => ClassificationLoss.Compute(logits, classes).ToDouble());

    /// <summary>The mean loss of some.</summary>
    internal static Tensor Loss(ImageClassifier model, Pictures pictures, int[] which)
    {
        Device place = model.parameters().First().device;
        return ClassificationLoss.Compute(model.call(pictures.Pixels(which, place)), pictures.Classes(which, place));
    }

    private static T Evaluate<T>(ImageClassifier model, Pictures pictures, Func<Tensor, Tensor, T> read)
    {
        bool training = model.training;
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        model.eval();
        Device place = model.parameters().First().device;
        int[] all = [.. Enumerable.Range(0, pictures.Labels.Length)];
        T result = read(model.call(pictures.Pixels(all, place)), pictures.Classes(all, place));
        if (training) model.train();
        return result;
    }
}
