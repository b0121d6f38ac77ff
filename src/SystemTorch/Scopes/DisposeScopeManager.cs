namespace TorchSharp;

/// <summary>The dispose scopes of one thread.</summary>
public class DisposeScopeManager
{
    [ThreadStatic]
    private static DisposeScopeManager _current;

    private readonly List<DisposeScope> _scopes = [];
    private readonly ThreadDisposeScopeStatistics _statistics = new();
    private HashSet<torch.Tensor> _recorded;

    public static ThreadDisposeScopeStatistics Statistics => Current._statistics;

    internal static DisposeScopeManager Current => _current ??= new DisposeScopeManager();

    internal static LifetimeStatistics Tensors => Current._statistics.TensorStatistics;

    internal DisposeScope Innermost => _scopes.Count > 0 ? _scopes[^1] : null;

    internal DisposeScope Open()
    {
        var scope = new DisposeScope(this, Innermost);
        _scopes.Add(scope);
        return scope;
    }

    internal void Close(DisposeScope scope) => _scopes.Remove(scope);

    /// <summary>From here on the tensors made on this thread are noted, until <see cref="EndRecording"/>.</summary>
    internal static HashSet<torch.Tensor> BeginRecording(out HashSet<torch.Tensor> before)
    {
        before = Current._recorded;
        return Current._recorded = new(ReferenceEqualityComparer.Instance);
    }

    internal static void EndRecording(HashSet<torch.Tensor> before) => Current._recorded = before;

    /// <summary>Counts a tensor that the package would make and dispose at once.</summary>
    internal static void CountTransient()
    {
        if (Current.Innermost is null)
        {
            Tensors.CreatedOutsideScopeCount++;
            Tensors.DisposedOutsideScopeCount++;
        }
        else
        {
            Tensors.CreatedInScopeCount++;
            Tensors.DisposedInScopeCount++;
        }
    }

    /// <summary>Enters a new tensor into the innermost scope of this thread, if there is one.</summary>
    internal static void Register(torch.Tensor tensor)
    {
        DisposeScopeManager manager = Current;
        manager._recorded?.Add(tensor);
        if (manager.Innermost is DisposeScope scope)
        {
            scope.Add(tensor);
            manager._statistics.TensorStatistics.CreatedInScopeCount++;
        }
        else
        {
            manager._statistics.TensorStatistics.CreatedOutsideScopeCount++;
        }
    }
}
