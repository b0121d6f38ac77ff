namespace Lora.Llm.Training.Running;

/// <summary>Checks examples before anything is computed of them.</summary>
internal static class DataChecks
{
    // On a GPU a token beyond the embedding would end the process.
    internal static void Vocabulary<TExample>(TrainingObjective<TExample> objective, ITrainingData<TExample> data, int vocabulary, int padTokenId)
    {
        if (padTokenId >= vocabulary) throw new ArgumentException($"{nameof(TrainingOptions.PadTokenId)} is {padTokenId}, but the model's vocabulary has {vocabulary} tokens.");
        if (data.Examples.Count == 0) throw new ArgumentException($"{data.Path} holds no example.", nameof(data));
        for (int i = 0; i < data.Examples.Count; i++)
        {
            int largest = objective.TextsOf(data.Examples[i]).Max(text => text.InputIds.Max());
            if (largest >= vocabulary)
                throw new ArgumentException($"Example {i + 1} of {data.Path} holds the token {largest}, but the model's vocabulary has {vocabulary} tokens: read the data with the model's own tokenizer.", nameof(data));
        }
    }

    internal static void Lengths<TExample>(TrainingObjective<TExample> objective, ITrainingData<TExample> data, int? packedLength)
    {
        int[] tooLong = [.. Enumerable.Range(0, data.Examples.Count).Where(i => objective.LengthOf(data.Examples[i]) > packedLength)];
        if (tooLong.Length > 0)
        {
            throw new ArgumentException(
                $"Example {tooLong[0] + 1} of {data.Path} has {objective.LengthOf(data.Examples[tooLong[0]])} tokens{(tooLong.Length > 1 ? $", and {tooLong.Length - 1} more are too long" : "")}, but {nameof(TrainingOptions.PackedLength)} is {packedLength}: raise it, or read the data with a smaller MaxLength.", nameof(data));
        }
    }
}
