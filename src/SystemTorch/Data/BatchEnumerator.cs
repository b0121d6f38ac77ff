using System.Collections;
using static TorchSharp.torch;

namespace TorchSharp.Modules;

/// <summary>
/// Makes batch after batch. What loading one makes is taken out of the scopes, so that the loop's body may open and close its own, and is disposed
/// when the next batch is asked for; without DisposeBatch the tensors of the batch stay in the caller's scope and only the rest is disposed.
/// </summary>
internal sealed class BatchEnumerator<T, S>(DataLoader<T, S> loader) : IEnumerator<S>
{
    private IEnumerator<long> _order = loader.sampler.GetEnumerator();
    private IReadOnlyList<IDisposable> _made = [];

    public S Current { get; private set; }

    object IEnumerator.Current => Current;

    public bool MoveNext()
    {
        Release();
        var places = new List<long>(loader.batch_size);
        while (places.Count < loader.batch_size && _order.MoveNext()) places.Add(_order.Current);
        if (places.Count == 0 || (loader.drop_last && places.Count < loader.batch_size)) return false;

        using DisposeScope scope = NewDisposeScope();
        List<T> items = places.ConvertAll(loader.dataset.GetTensor);
        Current = loader.collate_fn(items, loader.Device);
        if (loader.DisposeBatch) scope.Detach(_made = scope.DisposablesView);
        else scope.MoveToOuter(TensorsOf(Current) ?? scope.DisposablesView);
        return true;
    }

    public void Reset()
    {
        Release();
        _order.Dispose();
        _order = loader.sampler.GetEnumerator();
    }

    public void Dispose()
    {
        Release();
        _order.Dispose();
    }

    private void Release()
    {
        foreach (IDisposable made in _made) made.Dispose();
        _made = [];
        Current = default;
    }

    // Null: a batch of a type that is not known, so all that was made may belong to it.
    private static IEnumerable<IDisposable> TensorsOf(S batch) => batch switch
    {
        Tensor tensor => [tensor],
        IEnumerable<Tensor> tensors => tensors,
        IDictionary<string, Tensor> named => named.Values,
        _ => null,
    };
}
