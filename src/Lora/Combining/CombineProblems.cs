using System.Globalization;
using Lora.Layers;
using static TorchSharp.torch;

namespace Lora.Combining;

/// <summary>What stands in the way of combining, found out before anything is computed.</summary>
internal static class CombineProblems
{
    /// <summary>Lists every problem, each as a clause.</summary>
    internal static IEnumerable<string> Of(CombineRequest request) =>
        [.. Names(request), .. Options(request.Options), .. SettingsAgreement.Problems(request), .. LayerProblems(request)];

    private static IEnumerable<string> Names(CombineRequest request)
    {
        if (request.Known.ContainsKey(request.Name)) yield return $"there is an adapter '{request.Name}' already: delete or rename it, or choose another name";
        else if (LoraModel.NameProblem(request.Name) is string unusable) yield return unusable;

        string known = request.Known.Count == 0 ? "none" : string.Join(", ", request.Known.Keys.Select(name => $"'{name}'"));
        if (request.Weights.Count == 0) yield return $"no adapter is named: give at least one of {known} with its weight";
        foreach ((string name, double weight) in request.Weights)
        {
            if (name is null || !request.Known.ContainsKey(name)) yield return $"there is no adapter '{name}'; there is {known}";
            if (!double.IsFinite(weight)) yield return $"the weight of '{name}' is {Text(weight)}, but must be a finite number";
        }
        foreach (var twice in request.Weights.GroupBy(weight => weight.Adapter, StringComparer.Ordinal).Where(group => group.Count() > 1))
            yield return $"adapter '{twice.Key}' is named {twice.Count()} times: name it once, with the sum of the weights";
    }

    private static IEnumerable<string> Options(CombineOptions options)
    {
        CombineMethod method = options.Method;
        if (options.Density is double density)
        {
            bool allowed = density > 0 && density <= 1;
            // PEFT prunes everything at 0 and nothing from 1 on. What is divided by 0 is nothing that a file should hold.
            if (options.PeftCompatible) allowed = (density > 0 || (density == 0 && !method.Blend.Rescales)) && double.IsFinite(density);
            if (!method.Blend.Prunes) yield return $"Density is {Text(density)}, but '{method}' does not prune: leave it out";
            else if (!allowed) yield return $"Density must be above 0 and at most 1, but is {Text(density)}";
        }
        else if (method.Blend.Prunes)
        {
            yield return $"'{method}' needs Density, the part of the values to keep, above 0 and at most 1";
        }
        if (!method.ChoosesRank)
        {
            if (options.Rank is int given) yield return $"Rank is {given}, but the rank of '{method}' follows from the adapters': leave it out, or use a method that ends in a decomposition";
            if (options.EnergyThreshold is double asked) yield return $"EnergyThreshold is {Text(asked)}, but the rank of '{method}' follows from the adapters': leave it out, or use a method that ends in a decomposition";
            if (options.ClampQuantile is double clamp) yield return $"ClampQuantile is {Text(clamp)}, but '{method}' does not clamp: leave it out";
        }
        foreach (string problem in RankChoice.Problems(options.Rank, options.EnergyThreshold)) yield return problem;
        if (options is { EnergyThreshold: not null, PeftCompatible: true }) yield return "EnergyThreshold has no counterpart in PEFT: leave it or PeftCompatible out";
        if (options.ClampQuantile is double quantile and not (>= 0 and <= 1)) yield return $"ClampQuantile must be from 0 to 1, but is {Text(quantile)}";
        if (!Enum.IsDefined(options.MajoritySign)) yield return $"MajoritySign must be Total or Frequency, but is {options.MajoritySign}";
        else if (options.MajoritySign != MajoritySign.Total && !method.Blend.ElectsSigns) yield return $"MajoritySign is {options.MajoritySign}, but '{method}' elects no signs: leave it out";
    }

    private static IEnumerable<string> LayerProblems(CombineRequest request)
    {
        foreach (AdapterLayer layer in request.Layers)
        {
            using var scope = NewDisposeScope();
            LoraAdapter[] adapters = [.. request.On(layer).Select(source => source.Adapter)];
            foreach (LoraAdapter adapter in adapters)
            {
                if (adapter.ToLowRank() is null) yield return $"'{adapter.AdapterName}' on '{layer.Path}', a {adapter.GetType().Name}, is no pair of factors that can be combined: leave the layer out of its targets";
                else if (!adapter.FileTensors.All(tensor => tensor.Value.isfinite().all().item<bool>())) yield return $"'{adapter.AdapterName}' holds a NaN or an infinity on '{layer.Path}'";
            }
            foreach (string problem in FurtherTensors.Problems(layer.Path, adapters, request.Options)) yield return problem;
            if (request.Options.Method.NeedsEqualRanks && adapters.Select(adapter => adapter.FactorRank).Distinct().Count() > 1)
            {
                yield return $"'{request.Options.Method}' combines A's and B's apart and needs equal ranks, but on '{layer.Path}' {Words.And(adapters.Select(adapter => $"'{adapter.AdapterName}' has {adapter.FactorRank}"))}: use 'cat' or a method that ends in a decomposition";
            }
        }
    }

    private static string Text(double value) => value.ToString(CultureInfo.InvariantCulture);
}
