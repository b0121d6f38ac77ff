using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Exporters;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Toolchains.InProcess.Emit;

namespace Lora.Benchmarks;

/// <summary>A run of a few minutes, in this process: libtorch is loaded once, and both sides of a ratio see the same machine.</summary>
internal sealed class BenchmarkConfig : ManualConfig
{
    /// <param name="arguments">The command line; a job that it names takes the place of the usual one.</param>
    public BenchmarkConfig(string[] arguments)
    {
        if (!arguments.Contains("--job")) AddJob(Job.Default.WithToolchain(InProcessEmitToolchain.Instance).WithWarmupCount(3).WithIterationCount(15));
        AddColumnProvider(DefaultColumnProviders.Instance);
        AddColumn(StatisticColumn.Min);
        AddDiagnoser(MemoryDiagnoser.Default);
        AddExporter(MarkdownExporter.GitHub);
        AddLogger(ConsoleLogger.Default);
        WithOptions(ConfigOptions.DisableLogFile);
    }
}
