using System.Runtime.CompilerServices;
using Lora.Injection;
using static TorchSharp.torch;

namespace Lora.Invocation;

/// <summary>Knows the token ids of the pass that is under way: those that the model is called with, behind those that its cache holds, or those that a scope has named.</summary>
internal sealed class TokenWatch : IDisposable
{
    // What is no token.
    private const long Unknown = -1;

    private readonly ConditionalWeakTable<object, List<long>[]> _histories = [];
    private readonly List<SeenTokens> _named = [];
    private readonly IDisposable? _before;
    private readonly IDisposable? _after;
    private SeenTokens? _called;
    private SeenTokens? _last;

    /// <param name="model">The model; one that has no hooks needs scopes.</param>
    internal TokenWatch(nn.Module model)
    {
        if (!ModuleHooks.CanHook(model)) return;
        _before = ModuleHooks.BeforeWith(model, Begin);
        _after = ModuleHooks.After(model, () => _called = null);
    }

    /// <summary>The tokens of the pass that is under way; null where they are not known.</summary>
    internal SeenTokens? Current => _named.LastOrDefault() ?? _called;

    /// <summary>The tokens of the last pass or scope.</summary>
    internal SeenTokens? Last => _named.LastOrDefault() ?? _last;

    /// <summary>Names the tokens of the passes to come, until the answer is taken back.</summary>
    internal SeenTokens Name(Tensor ids)
    {
        var named = new SeenTokens(SeenTokens.RowsOf(ids));
        _named.Add(named);
        return named;
    }

    /// <summary>Ends the scope that has named tokens.</summary>
    internal void Withdraw(SeenTokens named)
    {
        _named.Remove(named);
        named.Dispose();
    }

    public void Dispose()
    {
        _before?.Dispose();
        _after?.Dispose();
        _last?.Dispose();
        foreach (SeenTokens named in _named) named.Dispose();
        _named.Clear();
        _called = _last = null;
    }

    /// <summary>Whether a tensor can be token ids.</summary>
    internal static bool AreIds(Tensor tensor) => tensor.dim() == 2 && tensor.dtype is ScalarType.Int64 or ScalarType.Int32;

    private void Begin(object?[] arguments)
    {
        _last?.Dispose();
        _called = _last = null;
        List<long>[]? rows = arguments.OfType<ITokenInput>().FirstOrDefault() is ITokenInput input
            ? RowsOf(input)
            : arguments.OfType<Tensor>().FirstOrDefault(AreIds) is Tensor ids ? SeenTokens.RowsOf(ids) : null;
        if (rows is not null) _called = _last = new SeenTokens(rows);
    }

    // A cache may have been shortened, filled by other means or by a pass that failed: then the tokens that it holds are not known, and invoke nothing.
    private List<long>[] RowsOf(ITokenInput input)
    {
        List<long>[] fresh = SeenTokens.RowsOf(input.InputIds);
        if (input.History is not object history) return fresh;
        if (!_histories.TryGetValue(history, out List<long>[]? rows) || rows.Length != fresh.Length) _histories.AddOrUpdate(history, rows = [.. fresh.Select(_ => new List<long>())]);
        int past = (int)input.PastLength;
        foreach ((List<long> row, List<long> added) in rows.Zip(fresh))
        {
            if (row.Count > past) row.RemoveRange(past, row.Count - past);
            while (row.Count < past) row.Add(Unknown);
            row.AddRange(added);
        }
        return rows;
    }
}
