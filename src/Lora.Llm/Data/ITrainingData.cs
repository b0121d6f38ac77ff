namespace Lora.Llm;

/// <summary>Examples to learn, and the name by which errors speak of them.</summary>
/// <typeparam name="TExample">What a training learns from.</typeparam>
public interface ITrainingData<out TExample>
{
    /// <summary>The file, or another name.</summary>
    string Path { get; }

    /// <summary>The examples, at least one.</summary>
    IReadOnlyList<TExample> Examples { get; }
}
