using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using Lora.Benchmarks;

if (args is ["interleaved"])
{
    InterleavedCalls.Run(Console.Out);
    return 0;
}
if (args is ["serve"])
{
    PeerTasks.Serve(Console.In, Console.Out);
    return 0;
}

Summary[] summaries = [.. BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args, new BenchmarkConfig(args))];
return summaries.Length > 0 && summaries.All(s => !s.HasCriticalValidationErrors && s.Reports.Length == s.BenchmarksCases.Length && s.Reports.All(r => r.Success)) ? 0 : 1;
