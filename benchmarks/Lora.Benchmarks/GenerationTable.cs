using System.Diagnostics;
using System.Globalization;
using Lora.Llm;
using static TorchSharp.torch;

namespace Lora.Benchmarks;

/// <summary>
/// <c>generation FOLDER</c>: how many tokens a second a model of a Hugging Face folder generates with its cache and without, by the length of the whole text. On one thread, in turns, by the time that the process
/// had the processor, so that other work on the machine counts little.
/// </summary>
internal static class GenerationTable
{
    private const int Rounds = 7;
    private const int Prompt = 1;

    private static readonly int[] _lengths = [16, 32, 64, 128, 256, 512];

    internal static void Run(string folder, TextWriter output)
    {
        set_num_threads(1);
        using CausalLanguageModel model = AutoModel.FromPretrained(folder);
        using Tensor prompt = ones([1, Prompt], dtype: ScalarType.Int64);
        output.WriteLine("| Tokens | With cache, tokens/s | Without, tokens/s | Ratio, median | least | most |\n|---:|---:|---:|---:|---:|---:|");
        foreach (int length in _lengths.Where(length => length <= model.MaxPositions))
        {
            var options = new GenerationOptions { MaxNewTokens = length - Prompt, EndTokenIds = [] };
            // Compiled, and its tables filled, before it is measured.
            for (int i = 0; i < 3; i++) Seconds(model, prompt, options);
            Seconds(model, prompt, options with { UseCache = false });
            double[] with = new double[Rounds], without = new double[Rounds];
            for (int round = 0; round < Rounds; round++)
            {
                with[round] = Seconds(model, prompt, options);
                without[round] = Seconds(model, prompt, options with { UseCache = false });
            }
            double[] ratios = [.. with.Zip(without, (a, b) => b / a).Order()];
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {length} | {(length - Prompt) / Median(with):F0} | {(length - Prompt) / Median(without):F0} | {ratios[Rounds / 2]:F1} | {ratios[0]:F1} | {ratios[^1]:F1} |"));
        }
    }

    private static double Seconds(CausalLanguageModel model, Tensor prompt, GenerationOptions options)
    {
        TimeSpan start = Process.GetCurrentProcess().TotalProcessorTime;
        model.Generate(prompt, options).Dispose();
        return (Process.GetCurrentProcess().TotalProcessorTime - start).TotalSeconds;
    }

    private static double Median(double[] values) => values.Order().ElementAt(values.Length / 2);
}
