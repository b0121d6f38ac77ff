namespace Lora.Llm.Tests.Data;

/// <summary>The order of texts.</summary>
internal static class TextPlan
{
    public static BatchPlan<TrainingExample> Of(IReadOnlyList<TrainingExample> examples, int batchSize, bool groupByLength, long seed, int? packedLength = null) =>
        new(examples, example => example.InputIds.Count, TrainingExample.Pack, batchSize, groupByLength, seed, packedLength);
}
