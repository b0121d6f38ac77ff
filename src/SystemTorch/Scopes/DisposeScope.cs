namespace TorchSharp;

/// <summary>Owns what is made while it is the innermost scope of its thread, and disposes it at its own end.</summary>
public sealed class DisposeScope : IDisposable
{
    private readonly DisposeScopeManager _manager;
    private readonly HashSet<IDisposable> _owned = new(ReferenceEqualityComparer.Instance);
    private DisposeScope _outer;
    private bool _disposed;

    internal DisposeScope(DisposeScopeManager manager, DisposeScope outer)
    {
        _manager = manager;
        _outer = outer;
    }

    public int DisposablesCount => Owned.Count;

    public IReadOnlyList<IDisposable> DisposablesView => [.. Owned];

    private HashSet<IDisposable> Owned
    {
        get
        {
            if (_disposed) throw new ObjectDisposedException(nameof(DisposeScope));
            return _owned;
        }
    }

    public bool Contains(IDisposable disposable) => Owned.Contains(disposable);

    public T MoveToOuter<T>(T disposable)
        where T : IDisposable
    {
        Move(disposable, _outer);
        return disposable;
    }

    public (T1 first, T2 second) MoveToOuter<T1, T2>(T1 first, T2 second)
        where T1 : IDisposable
        where T2 : IDisposable => (MoveToOuter(first), MoveToOuter(second));

    public (T1 first, T2 second, T3 third) MoveToOuter<T1, T2, T3>(T1 first, T2 second, T3 third)
        where T1 : IDisposable
        where T2 : IDisposable
        where T3 : IDisposable => (MoveToOuter(first), MoveToOuter(second), MoveToOuter(third));

    public void MoveToOuter(params IDisposable[] disposables) => MoveToOuter((IEnumerable<IDisposable>)disposables);

    public void MoveToOuter(IEnumerable<IDisposable> disposables)
    {
        foreach (IDisposable disposable in disposables) Move(disposable, _outer);
    }

    public T MoveToOther<T>(DisposeScope scope, T disposable)
        where T : IDisposable
    {
        Move(disposable, scope);
        return disposable;
    }

    public T Detach<T>(T disposable)
        where T : IDisposable
    {
        Move(disposable, null);
        return disposable;
    }

    public (T1 first, T2 second) Detach<T1, T2>(T1 first, T2 second)
        where T1 : IDisposable
        where T2 : IDisposable => (Detach(first), Detach(second));

    public (T1 first, T2 second, T3 third) Detach<T1, T2, T3>(T1 first, T2 second, T3 third)
        where T1 : IDisposable
        where T2 : IDisposable
        where T3 : IDisposable => (Detach(first), Detach(second), Detach(third));

    public void Detach(params IDisposable[] disposables) => Detach((IEnumerable<IDisposable>)disposables);

    public void Detach(IEnumerable<IDisposable> disposables)
    {
        foreach (IDisposable disposable in disposables) Move(disposable, null);
    }

    public void Attach(IDisposable disposable)
    {
        if (disposable is not torch.Tensor tensor) Owned.Add(disposable);
        else if (tensor.OwningDisposeScope is DisposeScope owner) owner.Move(tensor, this);
        else
        {
            Add(tensor);
            DisposeScopeManager.Tensors.AttachedToScopeCount++;
        }
    }

    public void Attach(params IDisposable[] disposables) => Attach((IEnumerable<IDisposable>)disposables);

    public IReadOnlyList<IDisposable> Attach(IEnumerable<IDisposable> disposables)
    {
        List<IDisposable> list = [.. disposables];
        list.ForEach(Attach);
        return list;
    }

    public void DisposeEverything()
    {
        IDisposable[] all = [.. Owned];
        _owned.Clear(); // first, so that nothing is searched for one by one
        foreach (IDisposable disposable in all) disposable.Dispose();
        _owned.Clear();
    }

    public void DisposeEverythingBut(params IDisposable[] keep) => DisposeEverythingBut((IEnumerable<IDisposable>)keep);

    public void DisposeEverythingBut(IEnumerable<IDisposable> inKeep)
    {
        var keep = new HashSet<IDisposable>(inKeep, ReferenceEqualityComparer.Instance);
        foreach (IDisposable disposable in Owned.ToArray())
            if (!keep.Contains(disposable)) disposable.Dispose();
        _owned.IntersectWith(keep);
    }

    public T DisposeEverythingBut<T>(T keep)
        where T : IDisposable
    {
        DisposeEverythingBut([(IDisposable)keep]);
        return keep;
    }

    public (T1 first, T2 second) DisposeEverythingBut<T1, T2>(T1 first, T2 second)
        where T1 : IDisposable
        where T2 : IDisposable
    {
        DisposeEverythingBut([(IDisposable)first, (IDisposable)second]);
        return (first, second);
    }

    public void MarkAsDisposed(IDisposable disposable)
    {
        _owned.Remove(disposable);
        if (disposable is torch.Tensor tensor)
        {
            tensor.OwningDisposeScope = null;
            DisposeScopeManager.Tensors.DisposedInScopeCount++;
        }
    }

    public void Dispose()
    {
        if (_disposed) return;
        DisposeEverything();
        _manager.Close(this);
        _outer = null;
        _disposed = true;
    }

    internal void Add(torch.Tensor tensor)
    {
        _owned.Add(tensor);
        tensor.OwningDisposeScope = this;
    }

    /// <summary>Gives <paramref name="next"/> the place of <paramref name="previous"/>, without counting.</summary>
    internal void Replace(torch.Tensor previous, torch.Tensor next)
    {
        _owned.Remove(previous);
        previous.OwningDisposeScope = null;
        Add(next);
    }

    // To no scope (null) means: detached, nobody disposes it any more.
    private void Move(IDisposable disposable, DisposeScope target)
    {
        if (disposable is null || !Owned.Remove(disposable)) return;
        if (disposable is torch.Tensor tensor)
        {
            tensor.OwningDisposeScope = null;
            if (target is null) DisposeScopeManager.Tensors.DetachedFromScopeCount++;
            else target.Add(tensor);
        }
        else
        {
            target?.Owned.Add(disposable);
        }
    }
}
