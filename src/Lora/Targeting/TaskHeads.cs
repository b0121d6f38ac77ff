using Lora.Injection;
using Lora.Parts;
using static TorchSharp.torch;

namespace Lora.Targeting;

/// <summary>The output heads that PEFT trains in full by itself, by the task: they are fresh, so that low-rank changes would not do.</summary>
internal static class TaskHeads
{
    private static readonly string[] _classifiers = ["classifier", "score"];
    private static readonly string[] _answers = ["qa_outputs"];

    /// <summary>Whether a name in <c>modules_to_save</c> is there for the task, so that the model need not have it.</summary>
    internal static bool Names(LoraConfig config, string name) => Of(config.TaskType).Contains(name);

    /// <summary>The configuration with the heads of its task among the modules that are trained in full, where the model has one of them. As with PEFT, all their names are there then.</summary>
    internal static LoraConfig With(LoraConfig config, nn.Module model)
    {
        string[] missing = [.. Of(config.TaskType).Where(name => !config.ModulesToSave.Contains(name))];
        return missing.Length > 0 && ModuleWalker.Walk(model).Any(site => Of(config.TaskType).Any(name => SavedModules.Names(name, site.Path)))
            ? config with { ModulesToSave = [.. config.ModulesToSave, .. missing] }
            : config;
    }

    /// <summary>The head of a model that classifies sequences, at its root; null for other tasks. PEFT leaves it out where all linear layers are meant.</summary>
    internal static nn.Module? ClassifierOf(LoraConfig config, IReadOnlyList<ModuleSite> sites) => config.TaskType == "SEQ_CLS"
        ? (sites.FirstOrDefault(site => site.Path == "score") ?? sites.FirstOrDefault(site => site.Path == "classifier"))?.Module
        : null;

    private static string[] Of(string? task) => task switch
    {
        "SEQ_CLS" or "TOKEN_CLS" => _classifiers,
        "QUESTION_ANS" => _answers,
        _ => [],
    };
}
