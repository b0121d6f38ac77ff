using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.optim;

namespace Lora.Optimization;

/// <summary>Saves and restores what an optimizer has accumulated: those of TorchSharp, those of this library, and any <see cref="ISavableOptimizer"/>.</summary>
public static class OptimizerStates
{
    // TorchSharp's optimizers write themselves as bytes of a form of their own.
    private const string Bytes = "state_dict";

    /// <summary>Whether the state of an optimizer can be saved.</summary>
    /// <param name="optimizer">The optimizer.</param>
    public static bool CanSave(Optimizer optimizer) => Innermost(optimizer) is ISavableOptimizer or OptimizerHelper;

    /// <summary>Gives the state as tensors.</summary>
    /// <param name="optimizer">The optimizer.</param>
    /// <returns>Copies by name, which the caller disposes.</returns>
    /// <exception cref="NotSupportedException">The optimizer cannot save its state.</exception>
    public static IReadOnlyDictionary<string, Tensor> Save(Optimizer optimizer)
    {
        switch (Innermost(optimizer))
        {
            case ISavableOptimizer own:
                return own.SaveState();
            case OptimizerHelper helper:
                using (var stream = new MemoryStream())
                using (var writer = new BinaryWriter(stream))
                {
                    helper.save_state_dict(writer);
                    return new Dictionary<string, Tensor>(StringComparer.Ordinal) { [Bytes] = tensor(stream.ToArray(), dtype: ScalarType.Byte) };
                }
            default:
                throw CannotSave(optimizer);
        }
    }

    /// <summary>Puts a saved state back. The optimizer must be over the same parameters in the same order.</summary>
    /// <param name="optimizer">The optimizer.</param>
    /// <param name="state">What <see cref="Save"/> gave.</param>
    /// <exception cref="NotSupportedException">The optimizer cannot save its state.</exception>
    /// <exception cref="ArgumentException">It is the state of other parameters or of another optimizer.</exception>
    public static void Load(Optimizer optimizer, IReadOnlyDictionary<string, Tensor> state)
    {
        ArgumentNullException.ThrowIfNull(state);
        switch (Innermost(optimizer))
        {
            case ISavableOptimizer own:
                own.LoadState(state);
                break;
            case OptimizerHelper helper:
                if (!state.TryGetValue(Bytes, out Tensor? bytes) || bytes.dtype != ScalarType.Byte)
                    throw new ArgumentException($"The saved state is none of {helper.GetType().Name}: it holds {Names(state.Keys)}, but no bytes '{Bytes}'.", nameof(state));
                using (Tensor here = bytes.cpu())
                using (var reader = new BinaryReader(new MemoryStream(here.bytes.ToArray())))
                {
                    Read(helper, reader);
                }
                break;
            default:
                throw CannotSave(optimizer);
        }
    }

    internal static NotSupportedException CannotSave(Optimizer optimizer) => new(
        $"A {Innermost(optimizer).GetType().Name} cannot save its state, so a training with it could not go on from a checkpoint: implement {nameof(ISavableOptimizer)} on it, use {nameof(FlatAdamW)} or an optimizer of TorchSharp, or train without checkpoints.");

    internal static string Names(IEnumerable<string> names) => string.Join(", ", names.Order(StringComparer.Ordinal).Take(4).Select(name => $"'{name}'").DefaultIfEmpty("nothing"));

    private static void Read(OptimizerHelper helper, BinaryReader reader)
    {
        try
        {
            helper.load_state_dict(reader);
        }
        catch (Exception exception) when (exception is InvalidDataException or EndOfStreamException)
        {
            throw new ArgumentException($"The saved state is none of this {helper.GetType().Name}: {exception.Message}", exception);
        }
    }

    private static Optimizer Innermost(Optimizer optimizer)
    {
        ArgumentNullException.ThrowIfNull(optimizer);
        while (optimizer is PreconditionedOptimizer outer) optimizer = outer.Inner;
        return optimizer;
    }
}
