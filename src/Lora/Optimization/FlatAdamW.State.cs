using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Optimization;

public sealed partial class FlatAdamW
{
    private const string StepName = "step";

    /// <summary>Gives the number of steps (<c>step</c>, int64) and the moments of each parameter, in the order of <see cref="parameters"/>: <c>0.exp_avg</c>, <c>0.exp_avg_sq</c>, …</summary>
    /// <returns>Copies by name, which the caller disposes.</returns>
    public IReadOnlyDictionary<string, Tensor> SaveState()
    {
        using var noGrad = no_grad();
        var state = new Dictionary<string, Tensor>(StringComparer.Ordinal) { [StepName] = tensor(StepCount, dtype: ScalarType.Int64) };
        foreach ((string name, Tensor piece) in Moments())
        {
            state.Add(name, piece.clone());
            piece.Dispose();
        }
        return state;
    }

    /// <summary>Puts a saved state back.</summary>
    /// <param name="state">What <see cref="SaveState"/> gave.</param>
    /// <exception cref="ArgumentException">It is the state of other parameters or of another optimizer; every difference is listed, and nothing has changed.</exception>
    public void LoadState(IReadOnlyDictionary<string, Tensor> state)
    {
        ArgumentNullException.ThrowIfNull(state);
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        (string Name, Tensor Piece)[] moments = [.. Moments()];
        var problems = new List<string>();
        if (!state.TryGetValue(StepName, out Tensor? step) || step.dtype != ScalarType.Int64 || step.numel() != 1) problems.Add($"'{StepName}' is not there, or no integer");
        foreach ((string name, Tensor piece) in moments)
        {
            if (!state.TryGetValue(name, out Tensor? saved)) problems.Add($"'{name}' is not there");
            else if (saved.dtype != piece.dtype || !saved.shape.AsSpan().SequenceEqual(piece.shape)) problems.Add($"'{name}' is {Text(saved)}, where {Text(piece)} is needed");
        }
        problems.AddRange(state.Keys.Except([StepName, .. moments.Select(moment => moment.Name)]).Select(name => $"'{name}' belongs to no parameter"));
        if (problems.Count > 0)
            throw new ArgumentException($"The saved state is none of this {nameof(FlatAdamW)} over {moments.Length / 2} parameters:{string.Concat(problems.Select(problem => $"\n  - {problem}"))}", nameof(state));
        foreach ((string name, Tensor piece) in moments) piece.copy_(state[name]);
        StepCount = step!.cpu().item<long>();
    }

    private static string Text(Tensor tensor) => $"{tensor.dtype} [{string.Join(", ", tensor.shape)}]";

    // Views of the moments, in the shapes of the parameters.
    private IEnumerable<(string Name, Tensor Piece)> Moments()
    {
        Dictionary<IntPtr, int> places = parameters().Select((parameter, place) => KeyValuePair.Create(parameter.Handle, place)).ToDictionary();
        foreach (Segment segment in _segments)
        {
            long offset = 0;
            foreach (Parameter parameter in segment.Parameters)
            {
                int place = places[parameter.Handle];
                long start = offset, length = parameter.numel();
                offset += length;
                yield return ($"{place}.exp_avg", Piece(segment.Mean));
                yield return ($"{place}.exp_avg_sq", Piece(segment.Square));

                Tensor Piece(Tensor moments)
                {
                    using Tensor flat = moments.narrow(0, start, length);
                    return flat.view(parameter.shape);
                }
            }
        }
    }
}
