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
            IReadOnlyList<TrainingExample> texts = data.Examples[i] is null ? [] : objective.TextsOf(data.Examples[i]);
            if (texts.Count == 0 || texts.Contains(null)) throw new ArgumentException($"Example {i + 1} of {data.Path} is null or has no text.", nameof(data));
            if (texts.Select(text => text.Problem).FirstOrDefault(problem => problem is not null) is string wrong) throw new ArgumentException($"Example {i + 1} of {data.Path} {wrong}.", nameof(data));
            int largest = texts.Max(text => text.InputIds.Max());
            if (largest >= vocabulary)
                throw new ArgumentException($"Example {i + 1} of {data.Path} holds the token {largest}, but the model's vocabulary has {vocabulary} tokens: read the data with the model's own tokenizer.", nameof(data));
        }
    }

    /// <summary>Says how many texts go beyond the positions that the model was made for; null where none does.</summary>
    /// <exception cref="ArgumentException">There are such texts, and the model cannot compute them.</exception>
    internal static string? Positions<TExample>(TrainingObjective<TExample> objective, ITrainingData<TExample> data, CausalLanguageModel model)
    {
        int[] lengths = [.. data.Examples.Select(example => objective.TextsOf(example).Max(text => text.LongestText))];
        int first = Array.FindIndex(lengths, length => length > model.MaxPositions);
        if (first < 0) return null;
        int count = lengths.Count(length => length > model.MaxPositions);
        string found = $"{(count == 1 ? $"Example {first + 1} of {data.Path} is" : $"{count} examples of {data.Path}, the first of which is {first + 1}, are")} longer than the {model.MaxPositions} positions that the model was made for, with up to {lengths.Max()} tokens";
        return model.LearnedPositions is null ? $"{found}." : throw new ArgumentException($"{found}: read the data with a smaller MaxLength.", nameof(data));
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
