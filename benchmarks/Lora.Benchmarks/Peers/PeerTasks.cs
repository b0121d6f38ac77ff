using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Lora.Benchmarks.Peers;

/// <summary>
/// Answers the tasks of <c>benchmarks/peers/torch_lora.py serve</c> and <c>peft_peer.py serve</c> in the same way: a line with a task comes in, a line with the milliseconds of one
/// repetition goes out, so that a driver can let both processes take turns.
/// </summary>
internal static class PeerTasks
{
    public static void Serve(TextReader input, TextWriter output)
    {
        var ready = new Dictionary<string, Action>(StringComparer.Ordinal);
        while (input.ReadLine() is string line)
        {
            if (line.Length == 0) continue;
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words is ["forget"]) Forget(ready);
            output.WriteLine(Answer(words) ?? Timed(ready, line, words));
            output.Flush();
        }
    }

    // One repetition of a task, which is got ready when it comes for the first time.
    private static string Timed(Dictionary<string, Action> ready, string line, string[] words)
    {
        if (!ready.TryGetValue(line, out Action? run))
        {
            ready.Add(line, run = Task(words));
            WarmUp(run);
        }
        long start = Stopwatch.GetTimestamp();
        run();
        double milliseconds = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        return string.Create(CultureInfo.InvariantCulture, $"{{\"task\": \"{line}\", \"ms\": {milliseconds:R}}}");
    }

    // Frees what was got ready: the tensors of a task that nothing refers to go with their finalizers.
    private static void Forget(Dictionary<string, Action> ready)
    {
        ready.Clear();
        GC.Collect();
        GC.WaitForPendingFinalizers();
    }

    // What is answered with something else than the milliseconds of a repetition.
    private static string? Answer(string[] words)
    {
        switch (words)
        {
            case ["forget"]:
                return "{}";
            case ["about"]:
                return $"{{\"runtime\": \"{RuntimeInformation.FrameworkDescription}\"}}";
            case ["same", string path, .. string[] place]:
                return string.Create(CultureInfo.InvariantCulture, $"{{\"worst\": {StoredLayer.Worst(path, Placement.Of(place)):R}}}");
            case ["e2e", string data]:
                (double milliseconds, double worst) = StoredBatches.Run(data);
                return string.Create(CultureInfo.InvariantCulture, $"{{\"ms\": {milliseconds:R}, \"worst\": {worst:R}}}");
            case ["allocated", "step", string form, string tokens, string rank]:
                return string.Create(CultureInfo.InvariantCulture, $"{{\"bytes\": {Allocations.Peak(Step(form, [tokens, rank]))}}}");
            case ["bytes", "adapter", .. string[] sizes] when sizes.Length == 5:
                using (AdapterTraffic traffic = Traffic(Sizes(sizes))) return string.Create(CultureInfo.InvariantCulture, $"{{\"bytes\": {traffic.Bytes}}}");
            default:
                return null;
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
        ["layer", _, _, _, _, _, .. string[] place] => Layer(words, Sizes(words[2..6]), Placement.Of(place)),
        ["step", "lora" or "narrow" or "swapped" or "operators", _, _, ..] => Step(words[1], words[2..]),
        ["part", string name, "passes" or "operators", _, _, _, _, _] => Part(name, words[2] == "operators", Sizes(words[3..])),
        ["adapter", "switch" or "load" or "load-staged" or "load-direct" or "save", _, _, _, _, _] => Adapter(words[1], Sizes(words[2..])),
        ["merge", "lora", _, _, _] => Merge(Sizes(words[2..])),
        _ => throw new ArgumentException(
            $"'{string.Join(' ', words)}' is no task: mixed base|loop|lora|scope N IN OUT R G [shuffled], dora base|lora|dora N IN OUT R, layer base|lora|narrow|operators N IN OUT R [DEVICE [TYPE]], "
            + "step lora|narrow T R [LAYERS] [DEVICE [TYPE]], step swapped|operators T R, merge lora OUT IN R, adapter switch|load|load-staged|load-direct|save WIDTH R LAYERS OUTSIDE ADAPTERS, part attention|rotation|norm|gate|q-k-v|gate-up passes|operators BATCH T HEADS D INNER; and e2e DATA, "
            + "allocated step FORM T R, bytes adapter WIDTH R LAYERS OUTSIDE ADAPTERS, same FILE [DEVICE [TYPE]], about, forget.",
            nameof(words)),
    };

    private static int[] Sizes(string[] words) => [.. words.Select(word => int.Parse(word, CultureInfo.InvariantCulture))];

    // step FORM T R [LAYERS] [DEVICE [TYPE]]; FORM = lora (our model) | narrow (with adapters of the base's type) | swapped (the peers' mathematics, with our adapted layers) | operators (the same without the one pass)
    private static Action Step(string form, string[] words)
    {
        int[] sizes = Sizes([.. words.TakeWhile(word => char.IsAsciiDigit(word[0]))]);
        var placement = Placement.Of(words[sizes.Length..]);
        return (form, sizes) switch
        {
            ("lora" or "narrow", [int tokens, int rank]) => placement.Finished(LlamaStep.Ours(tokens, rank, PeerLlama.Depth, placement, form == "narrow").Run),
            ("lora" or "narrow", [int tokens, int rank, int layers]) => placement.Finished(LlamaStep.Ours(tokens, rank, layers, placement, form == "narrow").Run),
            ("swapped" or "operators", [int tokens, int rank]) when words.Length == 2 => LlamaStep.Theirs(tokens, rank, oneByOne: form == "operators").Run,
            _ => throw new ArgumentException($"'{form} {string.Join(' ', words)}' is no step: lora|narrow T R [LAYERS] [DEVICE [TYPE]], or swapped|operators T R.", nameof(words)),
        };
    }

    private static Action Part(string name, bool byOperators, int[] sizes)
    {
        (int rows, int width, int inner) = (sizes[0] * sizes[1], sizes[2] * sizes[3], sizes[4]);
        SharedProjections? shared = name switch
        {
            "q-k-v" => new(rows, width, width, width, width),
            "gate-up" => new(rows, width, inner, inner),
            _ => null,
        };
        if (shared is null) return ModelParts.Of(name, byOperators, sizes[0], sizes[1], sizes[2], sizes[3], inner);
        return byOperators ? shared.OneByOne : shared.Together;
    }

    private static Action Adapter(string what, int[] sizes)
    {
        AdapterTraffic traffic = Traffic(sizes);
        return what switch
        {
            "switch" => traffic.Switch,
            "load" => traffic.Load,
            "load-staged" => traffic.LoadStaged,
            "load-direct" => traffic.LoadDirect,
            _ => traffic.Save,
        };
    }

    private static AdapterTraffic Traffic(int[] sizes) => new(sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]);

    private static Action Merge(int[] sizes) => new MergedLayer(sizes[0], sizes[1], sizes[2]).Run;

    // layer FORM N IN OUT R [DEVICE [TYPE]]; FORM = base | lora | narrow (with an adapter of the base's type) | operators (without the one pass)
    private static Action Layer(string[] words, int[] sizes, Placement placement)
    {
        var layer = new LinearLayer(sizes[0], sizes[1], sizes[2], sizes[3], placement);
        return placement.Finished(words[1] switch
        {
            "base" => layer.Base,
            "lora" => layer.Lora,
            "narrow" => layer.Narrow,
            "operators" => layer.Operators,
            _ => throw new ArgumentException($"'{words[1]}' is none of base, lora, narrow and operators.", nameof(words)),
        });
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
