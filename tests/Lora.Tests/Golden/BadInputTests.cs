using System.Text.Json;
using System.Text.RegularExpressions;
using Lora.Serialization;
using static TorchSharp.torch;

namespace Lora.Tests.Golden;

/// <summary>Every broken adapter folder gets the verdict that <c>expected.json</c> gives it, and the words that help to repair it.</summary>
[Trait("Golden", "G")]
public class BadInputTests
{
    // PEFT accepts these too, but drops every tensor in them without a word. Here they are the adapter that they hold.
    private static readonly string[] _droppedByPeft = ["t_adapter_name_in_key", "t_no_prefix"];

    public static IEnumerable<TheoryDataRow<string, string>> Folders => GoldenFolder.Cases('G').SelectMany(name =>
    {
        using JsonDocument expected = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(GoldenFolder.Root, name, "expected.json")));
        return expected.RootElement.EnumerateArray().Select(item => new TheoryDataRow<string, string>(name, item.GetProperty("dir").GetString()!)).ToArray();
    });

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Folders))]
    public void The_verdict_is_the_expected_one(string name, string folder)
    {
        using JsonDocument expected = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(GoldenFolder.Root, name, "expected.json")));
        JsonElement ours = expected.RootElement.EnumerateArray().Single(item => item.GetProperty("dir").GetString() == folder).GetProperty("ours");
        (string verdict, string report) = LoadVerdict(name, folder, ours.GetProperty("verdict").GetString() != "reject");
        Assert.Equal((ours.GetProperty("verdict").GetString(), report), (verdict, report));
        foreach (JsonElement word in ours.TryGetProperty("must_name", out JsonElement words) ? words.EnumerateArray() : default)
        {
            Assert.Matches($@"(?<!\w){Regex.Escape(word.GetString()!)}(?!\w)", report);
        }
    }

    /// <summary>Loads an adapter's folder into the model of the case and says how that went. What was refused must have left the model as it was.</summary>
    private static (string Verdict, string Report) LoadVerdict(string name, string folder, bool compare)
    {
        using var golden = new GoldenCase(name);
        JsonElement spec = golden.Json.GetProperty("base");
        using var model = new SpecModel(spec, golden.PathOf(spec.GetProperty("weights").GetString()!));
        string[] before = [.. model.named_parameters().Select(p => $"{p.name} {p.parameter.requires_grad}")];
        try
        {
            using LoraModel<SpecModel> lora = LoraModel.Load(model, golden.PathOf(folder));
            if (compare) CompareOutput(golden, lora, folder);
            return (lora.LoadReport.Count == 0 ? "accept" : "accept-with-report", string.Join('\n', lora.LoadReport));
        }
        catch (AdapterFormatException exception)
        {
            Assert.Equal(before, model.named_parameters().Select(p => $"{p.name} {p.parameter.requires_grad}"));
            return ("reject", exception.Message);
        }
    }

    // What PEFT computes after accepting the folder.
    private static void CompareOutput(GoldenCase golden, LoraModel<SpecModel> lora, string folder)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        lora.Model.eval();
        golden.Begin(folder);
        Tensor output = lora.Model.call(golden.Read("in.x"));
        golden.Compare(_droppedByPeft.Contains(folder) ? "out.adapter" : $"out.{folder}", output, golden.Json.GetProperty("tolerance").GetProperty("output"));
    }
}
