using System.Globalization;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using Lora.Benchmarks;
using Lora.Benchmarks.Methods;
using Lora.Benchmarks.Peers;

if (args is ["interleaved"])
{
    InterleavedCalls.Run(Console.Out);
    return 0;
}
if (args is ["checkpointing"])
{
    CheckpointingTable.Run(Console.Out);
    return 0;
}
if (args is ["serve"])
{
    PeerTasks.Serve(Console.In, Console.Out);
    return 0;
}
if (args is ["methods", string data, ..])
{
    int Setting(string name, int otherwise) => Array.IndexOf(args, name) is var at and >= 0 ? int.Parse(args[at + 1], CultureInfo.InvariantCulture) : otherwise;
    MethodTable.Run(data, Setting("--steps", 200), Setting("--seeds", 3), Setting("--part", 1), Setting("--parts", 1), Console.Out);
    return 0;
}
if (args is ["method-times", string folder])
{
    MethodTable.Times(folder, Console.Out);
    return 0;
}
if (args is ["generation", string pretrained])
{
    GenerationTable.Run(pretrained, Console.Out);
    return 0;
}
if (args is ["tokenizers", string tokenizers, string text])
{
    TokenizerTable.Run(tokenizers, text, Console.Out);
    return 0;
}

Summary[] summaries = [.. BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args, new BenchmarkConfig(args))];
return summaries.Length > 0 && summaries.All(s => !s.HasCriticalValidationErrors && s.Reports.Length == s.BenchmarksCases.Length && s.Reports.All(r => r.Success)) ? 0 : 1;
