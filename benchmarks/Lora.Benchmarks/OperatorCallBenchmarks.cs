using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Configs;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Benchmarks;

/// <summary>What one small operator call costs from C#, against the same call from C++: tensors of 8 numbers, so that hardly anything is computed.</summary>
[GroupBenchmarksBy(BenchmarkLogicalGroupRule.ByCategory)]
[CategoriesColumn]
public unsafe class OperatorCallBenchmarks
{
    private const int Calls = 1000;

    private NativeCalls _native = null!;
    private Tensor _left = null!;
    private Tensor _right = null!;

    [GlobalSetup]
    public void SetUp()
    {
        _native = NativeCalls.Load();
        _left = ones(8);
        _right = zeros(8);
    }

    [GlobalCleanup]
    public void CleanUp()
    {
        _left.Dispose();
        _right.Dispose();
    }

    [Benchmark(Baseline = true, OperationsPerInvoke = Calls, Description = "C++"), BenchmarkCategory("add")]
    public void Add_Cpp() => _native.Add(Calls);

    [Benchmark(OperationsPerInvoke = Calls, Description = "C++, boxed"), BenchmarkCategory("add")]
    public void Add_CppBoxed() => _native.AddBoxed(Calls);

    [Benchmark(OperationsPerInvoke = Calls, Description = "C#"), BenchmarkCategory("add")]
    public void Add() => Add(_left, _right, Calls);

    [Benchmark(Baseline = true, OperationsPerInvoke = Calls, Description = "C++"), BenchmarkCategory("add_")]
    public void AddInPlace_Cpp() => _native.AddInPlace(Calls);

    [Benchmark(OperationsPerInvoke = Calls, Description = "C++, boxed"), BenchmarkCategory("add_")]
    public void AddInPlace_CppBoxed() => _native.AddInPlaceBoxed(Calls);

    [Benchmark(OperationsPerInvoke = Calls, Description = "C#"), BenchmarkCategory("add_")]
    public void AddInPlace() => AddInPlace(_left, _right, Calls);

    [Benchmark(Baseline = true, OperationsPerInvoke = Calls, Description = "C++"), BenchmarkCategory("view")]
    public void View_Cpp() => _native.View(Calls);

    [Benchmark(OperationsPerInvoke = Calls, Description = "C++, boxed"), BenchmarkCategory("view")]
    public void View_CppBoxed() => _native.ViewBoxed(Calls);

    [Benchmark(OperationsPerInvoke = Calls, Description = "C#"), BenchmarkCategory("view")]
    public void View() => View(_left, Calls);

    internal static void Add(Tensor left, Tensor right, int calls)
    {
        for (int i = 0; i < calls; i++) left.add(right).Dispose();
    }

    internal static void AddInPlace(Tensor left, Tensor right, int calls)
    {
        for (int i = 0; i < calls; i++) left.add_(right);
    }

    internal static void View(Tensor tensor, int calls)
    {
        for (int i = 0; i < calls; i++) tensor.view(2, 4).Dispose();
    }
}
