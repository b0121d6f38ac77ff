using Lora.Llm;
using static TorchSharp.torch;

namespace Classify;

/// <summary>Hides words at random, for the model to fill in.</summary>
internal sealed class Masking(HuggingFaceTokenizer tokenizer, int seed)
{
    private readonly Random _random = new(seed);
    private readonly long _mask = tokenizer.Encode(WordPieceVocabulary.Mask, addSpecialTokens: false).Ids[0];

    internal Tensor Loss(MaskedLanguageModel model, IReadOnlyList<string> texts, double share)
    {
        TokenizerBatch batch = tokenizer.EncodeBatch(texts, new PaddingOptions());
        long[] ids = [.. batch.Ids.SelectMany(row => row.Select(id => (long)id))], labels = new long[ids.Length];
        Array.Fill(labels, TrainingExample.IgnoredLabel);
        int[] mask = [.. batch.AttentionMask.SelectMany(row => row)];
        for (int i = 0; i < ids.Length; i++)
        {
            // Not the special tokens, which come first in the vocabulary.
            if (mask[i] == 0 || ids[i] <= _mask || _random.NextDouble() >= share) continue;
            labels[i] = ids[i];
            ids[i] = _mask;
        }
        if (Array.TrueForAll(labels, label => label < 0)) return Loss(model, texts, share);
        long[] shape = [batch.Count, batch.Length];
        Tensor logits = model.call(new TextInput(tensor(ids, shape)) { AttentionMask = batch.AttentionMaskTensor() });
        return ClassificationLoss.OfTokens(logits, tensor(labels, shape));
    }
}
