// Runs golden cases in llama.cpp: each model with its adapter merged into one GGUF file, and with the adapter in a file of its own. The logits have to be those that PEFT has written.
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using LLama.Native;
using Lora.LlamaCpp;

NativeLibraryConfig.All.WithLogCallback((level, text) =>
{
    if (level == LLamaLogLevel.Error) Console.Error.Write(text);
});
string tool = args[0], golden = args[1], work = Directory.CreateDirectory(args[2]).FullName;
int compared = 0, failed = 0;
foreach (string folder in Directory.EnumerateDirectories(golden).Where(folder => File.Exists(Path.Combine(folder, "io.safetensors"))).Order(StringComparer.Ordinal))
{
    using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "case.json")));
    JsonElement description = document.RootElement.GetProperty("base");
    if (description.ValueKind != JsonValueKind.Object || !description.TryGetProperty("dir", out JsonElement dir)) continue;
    string model = Path.Combine(folder, dir.GetString()!);
    using JsonDocument config = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(model, "config.json")));
    string family = config.RootElement.GetProperty("model_type").GetString()!, architecture = config.RootElement.GetProperty("architectures")[0].GetString()!;
    bool isCausal = architecture.EndsWith("LMHeadModel", StringComparison.Ordinal) || architecture.EndsWith("ForCausalLM", StringComparison.Ordinal);
    if (!isCausal || family is not ("llama" or "qwen2" or "qwen3" or "gpt2")) continue;
    // Its GELU of GPT-2 looks numbers up in half precision.
    double tolerance = family == "gpt2" ? 3e-3 : 2e-5;
    var tensors = new GoldenTensors(Path.Combine(folder, "io.safetensors"));
    foreach (JsonElement run in document.RootElement.GetProperty("runs").EnumerateArray().Where(IsPlain))
    {
        string id = run.GetProperty("id").GetString()!, adapter = Path.Combine(folder, run.GetProperty("load")[0].GetProperty("dir").GetString()!);
        string merged = Path.Combine(work, "merged.gguf"), bare = Path.Combine(work, "base.gguf"), beside = Path.Combine(work, "adapter.gguf");
        if (!Export("--adapter", adapter, "--base", model, "--out", beside))
        {
            Console.WriteLine($"       {Path.GetFileName(folder)} {id} has no place in a GGUF file");
            continue;
        }
        if (!Export(model, adapter, "--type", "F32", "--tokenizer", "no", "--out", merged) || !Export(model, "--type", "F32", "--tokenizer", "no", "--out", bare)) return 1;
        long[][] ids = tensors.Rows<long>(run.GetProperty("inputs").GetProperty("input_ids").GetString()!);
        float[][] expected = tensors.Rows<float>(run.GetProperty("output").GetString()!);
        for (int row = 0; row < ids.Length; row++)
        {
            foreach ((string way, float[] found) in new[] { ("merged", Runtime.Logits(merged, null, ids[row])), ("beside", Runtime.Logits(bare, beside, ids[row])) })
            {
                double error = found.Zip(expected[row], (a, b) => Math.Abs(a - b)).Max() / expected[row].Max(Math.Abs);
                compared++;
                if (!(error <= tolerance)) failed++;
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{(error <= tolerance ? "ok    " : "FAILED")} {Path.GetFileName(folder)} {id} row {row} {way}: {error:E1} of the largest logit"));
            }
        }
    }
}
Console.WriteLine($"{compared} compared with llama.cpp, {failed} failed.");
return failed == 0 && compared > 0 ? 0 : 1;

// One adapter, whole logits, no padding.
static bool IsPlain(JsonElement run) =>
    run.GetProperty("mode").GetString() == "adapter" && run.TryGetProperty("output", out JsonElement output) && output.ValueKind == JsonValueKind.String
    && run.GetProperty("inputs").TryGetProperty("input_ids", out _) && !run.GetProperty("inputs").TryGetProperty("attention_mask", out _) && run.GetProperty("load").GetArrayLength() == 1;

bool Export(params string[] arguments)
{
    using Process process = Process.Start(new ProcessStartInfo("dotnet", [tool, "export", .. arguments]) { RedirectStandardOutput = true })!;
    process.StandardOutput.ReadToEnd();
    process.WaitForExit();
    return process.ExitCode == 0;
}
