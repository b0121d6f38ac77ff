using System.Globalization;
using Lora.Fuzzing;
using Lora.Fuzzing.Running;

Dictionary<string, string> options = [];
for (int i = 0; i + 1 < args.Length; i += 2) options[args[i].TrimStart('-')] = args[i + 1];
string[] known = ["target", "count", "seed", "first", "out", "limit"];
if (args.Length % 2 != 0 || options.Keys.Except(known).Any() || !options.TryGetValue("target", out string? wanted) || (wanted != "all" && !FuzzTargets.Names.Contains(wanted)))
{
    Console.Error.WriteLine($"--target all|{string.Join('|', FuzzTargets.Names)} [--count 1000000] [--seed 1] [--first 0] [--out FOLDER for failing inputs] [--limit 10: seconds for one input]");
    return 2;
}
long Number(string name, long otherwise) => options.TryGetValue(name, out string? text) ? long.Parse(text, CultureInfo.InvariantCulture) : otherwise;
long count = Number("count", 1_000_000), seed = Number("seed", 1), first = Number("first", 0);
string folder = Directory.CreateDirectory(options.GetValueOrDefault("out", Path.Combine(Path.GetTempPath(), "lora-fuzzing"))).FullName;
var limit = TimeSpan.FromSeconds(Number("limit", 10));

bool failed = false;
foreach (string name in wanted == "all" ? FuzzTargets.Names : [wanted])
{
    using FuzzTarget target = FuzzTargets.Make(name);
    var printer = new ReportPrinter(Console.Out, target, seed, folder);
    using var watchdog = new Watchdog(Path.Combine(folder, $"{name}.now"), limit, place =>
    {
        using FuzzTarget again = FuzzTargets.Make(name);
        (FuzzSeed made, byte[] input) = new FuzzRunner(again, seed).Make(place);
        printer.Failure(new FuzzFailure(place, made.Name, input, $"it took longer than {limit.TotalSeconds} s"));
        Environment.Exit(1);
    });
    var runner = new FuzzRunner(target, seed) { Starting = watchdog.Starting, Done = printer.Progress };
    FuzzReport report = runner.Run(count, first);
    printer.Print(report);
    failed |= report.Failures.Count > 0;
}
return failed ? 1 : 0;
