using System.Diagnostics;
using Lora.Cli;
using Lora.Export.Gguf;
using Lora.Llm.Tests.Export.Gguf;
using Lora.Serialization;
using Lora.Tests;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Cli;

/// <summary>The command-line tool: what its verbs write and say, and their exit codes.</summary>
public sealed class ToolTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Help_is_given_for_the_tool_and_each_verb()
    {
        (int code, string output, string error) = Run("--help");
        Assert.Equal((0, ""), (code, error));
        foreach (string verb in new[] { "inspect", "merge", "convert", "export", "diff" })
        {
            Assert.Contains($"  {verb} ", output, StringComparison.Ordinal);
            (code, string usage, error) = Run(verb, "--help");
            Assert.Equal((0, ""), (code, error));
            Assert.StartsWith($"usage: lora {verb} ", usage, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("error: a verb is needed: inspect, merge, convert, export, diff. lora --help says more.")]
    [InlineData("error: 'merg' is no verb: inspect, merge, convert, export, diff. lora --help says more.", "merg")]
    [InlineData("error: One file or folder is needed. lora inspect --help says more.", "inspect")]
    [InlineData("error: --rows must be a whole number of at least 1, but is '0'. lora inspect --help says more.", "inspect", "x", "--rows", "0")]
    [InlineData("error: There is no option --colour. lora inspect --help says more.", "inspect", "x", "--colour", "red")]
    [InlineData("error: A model and at least one adapter are needed. lora merge --help says more.", "merge", "x", "--out", "y")]
    [InlineData("error: --out is needed. lora merge --help says more.", "merge", "x", "y")]
    [InlineData("error: --out is empty. lora merge --help says more.", "merge", "x", "y", "--out", "")]
    [InlineData("error: --to or --dtype is needed. lora convert --help says more.", "convert", "x", "--out", "y")]
    [InlineData("error: --alpha goes with --to unfolded alone. lora convert --help says more.", "convert", "x", "--out", "y", "--to", "plain", "--alpha", "3")]
    [InlineData("error: --dtype must be one of F32, F16, BF16, but is 'F8'. lora convert --help says more.", "convert", "x", "--out", "y", "--dtype", "F8")]
    [InlineData("error: --type must be one of F32, F16, BF16, Q8_0, Q4_0, but is 'Q4_K'. lora export --help says more.", "export", "x", "--out", "y", "--type", "Q4_K")]
    [InlineData("error: --base is needed. lora export --help says more.", "export", "--adapter", "x", "--out", "y")]
    [InlineData("error: --base is given without --adapter. lora export --help says more.", "export", "x", "--base", "z", "--out", "y")]
    [InlineData("error: A model is needed, or --adapter and --base. lora export --help says more.", "export", "--out", "y")]
    [InlineData("error: Two files or folders are needed. lora diff --help says more.", "diff", "x")]
    public void Wrong_arguments_are_told_in_a_line(string expected, params string[] arguments)
    {
        (int code, string output, string error) = Run(arguments);
        Assert.Equal((2, "", expected + Environment.NewLine), (code, output, error));
    }

    [Fact]
    public void Failures_are_told_in_a_line()
    {
        Make();
        string missing = _folder["nothing"];
        Assert.Equal((1, "", $"error: There is no file or folder '{missing}'.{Environment.NewLine}"), Run("inspect", missing));
        Assert.Equal((2, "", $"error: There is no file or folder '{missing}'.{Environment.NewLine}"), Run("diff", missing, missing));
        File.WriteAllText(_folder["bad.gguf"], "GGUF and nothing more");
        (int code, string output, string error) = Run("inspect", _folder["bad.gguf"]);
        Assert.Equal((1, "", $"error: {_folder["bad.gguf"]}: byte 4: the version is 1684955424, but 2 and 3 are supported{Environment.NewLine}"), (code, output, error));
        // Two things are wrong with the adapter.
        string config = Path.Combine(_folder["adapter"], "adapter_config.json");
        File.WriteAllText(config, File.ReadAllText(config).Replace("\"bias\": \"none\"", "\"bias\": \"all\"", StringComparison.Ordinal).Replace("\"use_dora\": false", "\"use_dora\": true", StringComparison.Ordinal));
        (code, _, error) = Run("export", "--adapter", _folder["adapter"], "--base", _folder["model"], "--out", _folder["a.gguf"]);
        Assert.Equal(1, code);
        Assert.Equal($"error: {_folder["adapter"]}: use_dora is true: the format has no magnitudes; bias is \"all\": the format has no biases{Environment.NewLine}", error);
        Assert.False(File.Exists(_folder["a.gguf"]));
    }

    [Fact]
    public void An_export_replaces_GGUF_files_alone()
    {
        Make();
        string weights = Path.Combine(_folder["model"], "model.safetensors");
        byte[] before = File.ReadAllBytes(weights);
        Assert.Equal((1, "", $"error: '{weights}' exists and is no GGUF file: give another name, or delete it first.{Environment.NewLine}"), Run("export", _folder["model"], "--out", weights));
        Assert.Equal(before, File.ReadAllBytes(weights));
        File.WriteAllText(_folder["short.txt"], "GG");
        Assert.Equal((1, "", $"error: '{_folder["short.txt"]}' exists and is no GGUF file: give another name, or delete it first.{Environment.NewLine}"), Run("export", _folder["model"], "--out", _folder["short.txt"]));
        File.WriteAllText(_folder["a.gguf"], "");
        for (int i = 0; i < 2; i++) Assert.Equal(0, Run("export", _folder["model"], "--out", _folder["a.gguf"], "--tokenizer", "no").Item1);
    }

    [Fact]
    public void A_run_that_is_cancelled_says_so()
    {
        Make();
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        using var error = new StringWriter();
        Assert.Equal(130, Tool.Run(["merge", _folder["model"], _folder["adapter"], "--out", _folder["merged"]], TextWriter.Null, error, cancelled.Token));
        Assert.Equal($"error: cancelled.{Environment.NewLine}", error.ToString());
    }

    [Fact]
    public void Adapters_are_inspected()
    {
        IReadOnlyList<string> paths = Make();
        (int code, string output, string error) = Run("inspect", _folder["adapter"]);
        Assert.Equal((0, ""), (code, error));
        foreach (string path in paths) Assert.Contains($" {path} ", output, StringComparison.Ordinal);
        Assert.Contains("lora_alpha", output, StringComparison.Ordinal);
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(_folder["adapter"], "adapter_model.safetensors"));
        using var scope = NewDisposeScope();
        string line = output.Split('\n').Single(text => text.Contains($" {paths[0]} ", StringComparison.Ordinal));
        double norm = 5.0 / 3 * file.ReadTensor($"base_model.model.{paths[0]}.lora_B.weight").matmul(file.ReadTensor($"base_model.model.{paths[0]}.lora_A.weight")).norm().item<float>();
        Assert.Equal(["3", "1.667", norm.ToString("G4", System.Globalization.CultureInfo.InvariantCulture)], line.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) is var cells ? [cells[1], cells[2], cells[5]] : []);
        Assert.Contains($"{2 * paths.Count} tensors ({2 * paths.Count} F32)", output, StringComparison.Ordinal);
    }

    [Fact]
    public void Models_and_files_are_inspected()
    {
        Make();
        Assert.Equal(0, Run("export", _folder["model"], "--out", _folder["a.gguf"], "--type", "f16", "--tokenizer", "no", "--name", "small").Code);
        foreach ((string path, string[] expected) in new[]
        {
            (_folder["model"], new[] { "model in Hugging Face form", "model_type", "model.layers.1.mlp.up_proj.weight", "[27, 20]" }),
            (Path.Combine(_folder["model"], "model.safetensors"), ["safetensors file", "model.embed_tokens.weight", "[37, 20]"]),
            (_folder["a.gguf"], ["GGUF file of version 3", "general.name", "small", "blk.1.ffn_up.weight", "[27, 20]", "F16"]),
        })
        {
            (int code, string output, string error) = Run("inspect", path);
            Assert.Equal((0, ""), (code, error));
            foreach (string text in expected) Assert.Contains(text, output, StringComparison.Ordinal);
        }
        Assert.Contains("more tensors (--rows).", Run("inspect", _folder["model"], "--rows", "2").Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Merging_exporting_and_comparing_fit_together()
    {
        IReadOnlyList<string> paths = Make();
        (int code, string output, string error) = Run("merge", _folder["model"], _folder["adapter"], "--out", _folder["merged"]);
        Assert.Equal((0, ""), (code, error));
        Assert.Contains($"{paths.Count} tensors changed", output, StringComparison.Ordinal);
        Assert.Equal(0, Run("diff", _folder["model"], _folder["model"]).Code);
        (code, output, _) = Run("diff", _folder["model"], _folder["merged"]);
        Assert.Equal(1, code);
        Assert.Contains($"{paths.Count} differences.", output, StringComparison.Ordinal);
        Assert.Contains("numbers, by up to", output, StringComparison.Ordinal);
        Assert.Equal(0, Run("diff", _folder["model"], _folder["merged"], "--tolerance", "100").Code);

        Assert.Equal(0, Run("export", _folder["model"], _folder["adapter"], "--out", _folder["a.gguf"], "--tokenizer", "no", "--name", "x").Code);
        Assert.Equal(0, Run("export", _folder["merged"], "--out", _folder["b.gguf"], "--tokenizer", "no", "--name", "x").Code);
        Assert.Equal(0, Run("diff", _folder["a.gguf"], _folder["b.gguf"]).Code);
        (code, output, error) = Run("export", "--adapter", _folder["adapter"], "--base", _folder["model"], "--out", _folder["adapter.gguf"]);
        Assert.Equal((0, ""), (code, error));
        using GgufFile file = GgufFile.Open(_folder["adapter.gguf"]);
        Assert.Equal(2 * paths.Count, file.Entries.Count);
        Assert.Equal("adapter", file.Metadata["general.type"]);
        (code, output, _) = Run("diff", _folder["a.gguf"], _folder["adapter.gguf"]);
        Assert.Equal(1, code);
        Assert.Contains("only in the first", output, StringComparison.Ordinal);
        Assert.Contains("only in the second", output, StringComparison.Ordinal);
    }

    [Fact]
    public void Adapters_are_converted()
    {
        Make();
        Assert.Equal(0, Run("convert", _folder["adapter"], "--to", "mlx", "--out", _folder["mlx"]).Code);
        Assert.True(File.Exists(Path.Combine(_folder["mlx"], "adapters.safetensors")));
        Assert.Equal(0, Run("convert", _folder["mlx"], "--to", "peft", "--out", _folder["peft"]).Code);
        Assert.Equal(0, Run("convert", _folder["adapter"], "--to", "folded", "--out", _folder["folded"]).Code);
        Assert.Equal(0, Run("convert", _folder["folded"], "--to", "unfolded", "--alpha", "5", "--out", _folder["unfolded"]).Code);
        Assert.Equal(0, Run("convert", _folder["adapter"], "--to", "rslora", "--out", _folder["rslora"]).Code);
        Assert.Equal(0, Run("convert", _folder["rslora"], "--to", "plain", "--dtype", "bf16", "--out", _folder["plain"]).Code);
        int[] ids = [3, 9, 14];
        double[] expected = GgufFolders.Logits(_folder["model"], _folder["adapter"], ids);
        foreach (string form in new[] { "peft", "folded", "unfolded", "rslora" })
            Assert.All(GgufFolders.Logits(_folder["model"], _folder[form], ids).Zip(expected), pair => Assert.Equal(pair.Second, pair.First, 1e-5));
        using SafetensorsFile plain = SafetensorsFile.Open(Path.Combine(_folder["plain"], "adapter_model.safetensors"));
        Assert.All(plain.Entries, entry => Assert.Equal(SafetensorsType.BF16, entry.Type));
        (int code, string output, _) = Run("diff", _folder["adapter"], _folder["plain"], "--tolerance", "0.01");
        Assert.Equal(1, code);
        Assert.Contains("BF16", output, StringComparison.Ordinal);
        Assert.DoesNotContain("numbers", output, StringComparison.Ordinal);
        (code, _, string error) = Run("convert", _folder["adapter"], "--to", "plain", "--out", _folder["plain"]);
        Assert.Equal((1, $"error: '{_folder["plain"]}' exists: give a new folder, or delete it first.{Environment.NewLine}"), (code, error));
        Assert.DoesNotContain(Directory.EnumerateFileSystemEntries(_folder.Path), entry => entry.EndsWith(".partial", StringComparison.Ordinal));
    }

    [Fact]
    public void A_conversion_that_fails_leaves_nothing()
    {
        Make();
        using (var scope = NewDisposeScope())
        {
            string file = Path.Combine(_folder["adapter"], "adapter_model.safetensors");
            Dictionary<string, Tensor> tensors;
            using (SafetensorsFile source = SafetensorsFile.Open(file)) tensors = source.Entries.ToDictionary(entry => entry.Name, entry => source.ReadTensor(entry.Name).mul(1e6));
            SafetensorsWriter.Save(file, tensors);
        }
        (int code, _, string error) = Run("convert", _folder["adapter"], "--dtype", "F16", "--out", _folder["half"]);
        Assert.Equal(1, code);
        Assert.Contains("tensors hold numbers that Float16 cannot, or an infinity or a NaN; the first is 'base_model.model.", error, StringComparison.Ordinal);
        Assert.Equal(["adapter", "model"], Directory.EnumerateFileSystemEntries(_folder.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    // The program itself, and not the method that it calls.
    [Fact]
    public async Task The_program_ends_with_the_exit_code()
    {
        foreach ((string[] arguments, int code, string text) in new[] { (new[] { "--help" }, 0, "usage: lora VERB"), (["inspect", _folder["nothing"]], 1, "error: There is no file or folder"), (["nothing"], 2, "error: 'nothing' is no verb") })
        {
            var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "Lora.Cli.dll"), .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
            using Process process = Process.Start(start)!;
            Task<string> output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken), error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.Equal(code, process.ExitCode);
            Assert.StartsWith(text, await output + await error, StringComparison.Ordinal);
        }
    }

    private IReadOnlyList<string> Make()
    {
        GgufFolders.Make("llama", _folder["model"]);
        return GgufFolders.Adapt(_folder["model"], _folder["adapter"], LoraConfig.AllLinear(rank: 3, alpha: 5));
    }

    private static (int Code, string Output, string Error) Run(params string[] arguments)
    {
        using StringWriter output = new(), error = new();
        int code = Tool.Run(arguments, output, error, TestContext.Current.CancellationToken);
        return (code, output.ToString(), error.ToString());
    }
}
