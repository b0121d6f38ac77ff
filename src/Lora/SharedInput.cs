using Lora.Layers.OnePass;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora;

/// <summary>
/// Calls layers that read the same input, such as the projections to queries, keys and values, or to gate and up. What can be shared between them in training is computed once: the products with
/// all A's, and the sum that is the input's gradient. Each layer keeps an adapter of its own, in files too.
/// </summary>
/// <remarks>
/// <para>In a module's forward pass, <c>Tensor[] qkv = SharedInput.Call(x, _query, _key, _value);</c> gives what <c>_query.call(x)</c>, <c>_key.call(x)</c> and
/// <c>_value.call(x)</c> give, up to the last digits of gradients, which are summed in another order. Hold the layers in fields of type <c>Module&lt;Tensor, Tensor&gt;</c>, so
/// that wrapping can put adapted layers there.</para>
/// <para>The layers are called one by one, in the order given, where one of them is not a frozen <see cref="Linear"/> or <see cref="Layers.TransposedLinear"/>, or a
/// <see cref="Layers.LoraLinear"/> over one with at most one adapter that contributes, plain and without active dropout; where one of them has a hook; and where no gradient is recorded.</para>
/// </remarks>
public static class SharedInput
{
    /// <summary>Calls every layer with an input.</summary>
    /// <param name="input">The input, shape <c>[…, in]</c>.</param>
    /// <param name="layers">The layers, all of that width.</param>
    /// <returns>Their outputs, shapes <c>[…, outᵢ]</c>, in the order of the layers. They belong to the current dispose scope.</returns>
    /// <exception cref="ArgumentNullException">The input or a layer is null.</exception>
    public static Tensor[] Call(Tensor input, params ReadOnlySpan<nn.Module<Tensor, Tensor>> layers)
    {
        ArgumentNullException.ThrowIfNull(input);
        foreach (nn.Module<Tensor, Tensor> layer in layers) ArgumentNullException.ThrowIfNull(layer, nameof(layers));
        if (Together(input, layers) is Tensor[] outputs) return outputs;
        var each = new Tensor[layers.Length];
        for (int i = 0; i < each.Length; i++) each[i] = layers[i].call(input);
        return each;
    }

    // Null where they have to be called one by one.
    internal static Tensor[]? Together(Tensor input, ReadOnlySpan<nn.Module<Tensor, Tensor>> layers)
    {
        if (layers.Length < 2 || !is_grad_enabled()) return null;
        var members = new SharedInputMember[layers.Length];
        for (int i = 0; i < members.Length; i++)
        {
            if (SharedInputMember.Of(layers[i], input) is not SharedInputMember member) return null;
            members[i] = member;
        }
        bool isAdapted = members.Any(member => member.Adapter is not null && !member.Owner!.OnePass!.IsSmall(input));
        bool isRecorded = input.requires_grad || members.Any(member => member.Adapter is { } adapter && (adapter.A.requires_grad || adapter.B.requires_grad));
        if (!isAdapted || !isRecorded) return null;

        using var scope = NewDisposeScope();
        object[] arguments = [new SharedInputPass(members), input, .. members.SelectMany(member => new[] { member.View.Weight, member.Adapter?.TermA!, member.Adapter?.TermB! })];
        foreach (SharedInputMember member in members) member.Owner?.CountCall();
        return [.. SharedInputFunction.apply(arguments).Select(output => output.MoveToOuterDisposeScope())];
    }
}
