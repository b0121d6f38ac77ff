using System.Diagnostics;
using System.Globalization;

namespace Lora.Benchmarks;

/// <summary>
/// Answers the tasks of <c>benchmarks/peers/torch_lora.py serve</c> in the same way: a line with a task comes in, a line with the milliseconds of one repetition goes
/// out, so that a driver can let both processes take turns.
/// </summary>
internal static class PeerTasks
{
    public static void Serve(TextReader input, TextWriter output)
    {
        var ready = new Dictionary<string, Action>(StringComparer.Ordinal);
        while (input.ReadLine() is string line)
        {
            if (line.Length == 0) continue;
            if (!ready.TryGetValue(line, out Action? run))
            {
                ready.Add(line, run = Task(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)));
                WarmUp(run);
            }
            long start = Stopwatch.GetTimestamp();
            run();
            double milliseconds = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{{\"task\": \"{line}\", \"ms\": {milliseconds:R}}}"));
            output.Flush();
        }
    }

    // The runtime waits a tenth of a second without new methods before it compiles the old ones better.
    private const int MillisecondsForCompiler = 150;

    // Until everything is compiled to the end: the runtime compiles often used methods anew, more than once, after pauses without new ones.
    private static void WarmUp(Action run)
    {
        for (int round = 0; round < 5; round++)
        {
            long start = Stopwatch.GetTimestamp();
            for (int i = 0; i < 50 && Stopwatch.GetElapsedTime(start).TotalSeconds < 1; i++) run();
            Thread.Sleep(MillisecondsForCompiler);
        }
    }

    private static Action Task(string[] words) => words switch
    {
        ["mixed", _, _, _, _, _, _, ..] => Mixed(words, Sizes(words[2..7])),
        ["dora", _, _, _, _, _] => Dora(words, Sizes(words[2..6])),
        ["layer", _, _, _, _, _] => Layer(words, Sizes(words[2..6])),
        ["step", "lora" or "operators", _, _] => Step(words[1], Sizes(words[2..])),
        ["merge", "lora", _, _, _] => Merge(Sizes(words[2..])),
        _ => throw new ArgumentException(
            $"'{string.Join(' ', words)}' is no task: mixed base|loop|lora|scope N IN OUT R G [shuffled], dora base|lora|dora N IN OUT R, layer base|lora|operators N IN OUT R, "
            + "step lora|operators T R, or merge lora OUT IN R.",
            nameof(words)),
    };

    private static int[] Sizes(string[] words) => [.. words.Select(word => int.Parse(word, CultureInfo.InvariantCulture))];

    private static Action Step(string form, int[] sizes) => new LlamaStep(sizes[0], sizes[1], oneByOne: form == "operators").Run;

    private static Action Merge(int[] sizes) => new MergedLayer(sizes[0], sizes[1], sizes[2]).Run;

    // layer FORM N IN OUT R; FORM = base | lora | operators (the same without the one pass)
    private static Action Layer(string[] words, int[] sizes)
    {
        var layer = new LinearLayer(sizes[0], sizes[1], sizes[2], sizes[3]);
        return words[1] switch
        {
            "base" => layer.Base,
            "lora" => layer.Lora,
            "operators" => layer.Operators,
            _ => throw new ArgumentException($"'{words[1]}' is none of base, lora and operators.", nameof(words)),
        };
    }

    // dora FORM N IN OUT R; FORM = base | lora | dora
    private static Action Dora(string[] words, int[] sizes)
    {
        var layers = new DoraLinear(sizes[0], sizes[1], sizes[2], sizes[3]);
        return words[1] switch
        {
            "base" => layers.Base,
            "lora" => layers.Lora,
            "dora" => layers.Dora,
            _ => throw new ArgumentException($"'{words[1]}' is none of base, lora and dora.", nameof(words)),
        };
    }

    // mixed FORM N IN OUT R G [shuffled]; FORM = base | loop | lora (the scope is open) | scope (and is begun and ended each time)
    private static Action Mixed(string[] words, int[] sizes)
    {
        var batch = new MixedBatch(sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], words.Contains("shuffled"));
        if (batch.Difference() is var difference && !(difference < 1e-3)) throw new InvalidOperationException($"UsePerSample and the loop differ by {difference}.");
        return words[1] switch
        {
            "base" => batch.Base,
            "loop" => batch.Loop,
            "lora" => batch.PerSample,
            "scope" => batch.PerSampleInNewScope,
            _ => throw new ArgumentException($"'{words[1]}' is none of base, loop, lora and scope.", nameof(words)),
        };
    }
}
