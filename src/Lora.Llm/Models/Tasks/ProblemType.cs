namespace Lora.Llm;

/// <summary>What a classifier's labels mean (<c>problem_type</c> of <c>config.json</c>), and with it the loss.</summary>
public enum ProblemType
{
    /// <summary>Numbers (<c>regression</c>): the mean squared error.</summary>
    Regression,

    /// <summary>One class of several (<c>single_label_classification</c>): the cross-entropy.</summary>
    SingleLabel,

    /// <summary>Any number of classes at once (<c>multi_label_classification</c>): the binary cross-entropy of each.</summary>
    MultiLabel,
}
