using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Layers;

/// <summary>
/// Knows how to adapt modules of one kind. Give kinds of your own to <see cref="WrapOptions.LayerKinds"/>; they are asked before the library's.
/// </summary>
/// <remarks>
/// For a layer of your own that computes W·x + b, <see cref="LinearKind{TModule}"/> is all that is needed; where its class cannot be named, since it is
/// internal to another library, derive a kind that knows it by its type's name and makes a <see cref="LoraLinear"/> with a <see cref="LinearView"/>.
/// For another formula derive from <see cref="LoraLayer"/> and <see cref="LoraAdapter"/> too.
/// </remarks>
public abstract class LoraLayerKind
{
    /// <summary>What the library adapts by itself.</summary>
    internal static IReadOnlyList<LoraLayerKind> BuiltIn { get; } =
    [
        new LinearKind<Linear>(linear => linear.weight!, linear => linear.bias),
        new LinearKind<TransposedLinear>(linear => linear.Weight, linear => linear.Bias, isTransposed: true),
        new EmbeddingKind(),
        new ConvKind<Conv1d>(),
        new ConvKind<Conv2d>(),
        new ConvKind<Conv3d>(),
        new ConvKind<ConvTranspose1d>(),
        new ConvKind<ConvTranspose2d>(),
        new ConvKind<ConvTranspose3d>(),
        new MultiheadAttentionKind(),
    ];

    /// <summary>The names of what the library adapts by itself, as a phrase.</summary>
    internal static string BuiltInNames => $"{string.Join(", ", BuiltIn.SkipLast(1).Select(kind => kind.ModuleName))} or {BuiltIn[^1].ModuleName}";

    /// <summary>The name of the modules of this kind, for error texts, such as <c>Linear</c>.</summary>
    public abstract string ModuleName { get; }

    /// <summary>The type of what <see cref="Create"/> gives, by which it is known whether a field can hold it.</summary>
    public abstract Type LayerType { get; }

    /// <summary>Whether <see cref="ModuleSelector.AllLinear"/> means modules of this kind.</summary>
    public virtual bool IsLinear => false;

    /// <summary>Whether the layers that this kind makes show their weight to variants of LoRA, such as DoRA, which are refused elsewhere.</summary>
    internal bool ShowsWeight => LayerType == typeof(LoraLinear) || LayerType == typeof(LoraEmbedding) || LayerType == typeof(LoraConv);

    /// <summary>The names of the weights that can be adapted apart, behind the module's path; none where there is only one.</summary>
    internal virtual IReadOnlyList<string> Parts => [];

    /// <summary>The shape of the one weight matrix of a module of this kind, <c>[out, in]</c>; null where there is none, or it is not known before the layer is made.</summary>
    internal virtual (long Out, long In)? MatrixOf(nn.Module module) => null;

    /// <summary>Says whether a module is of this kind.</summary>
    /// <param name="module">The module.</param>
    /// <returns>Whether <see cref="Create"/> takes it.</returns>
    public abstract bool Supports(nn.Module module);

    /// <summary>Says whether a module is of this kind where it stands. Override it for a kind that is chosen by name.</summary>
    /// <param name="path">The dotted path of the module.</param>
    /// <param name="module">The module.</param>
    /// <returns>What <see cref="Supports(nn.Module)"/> says, by default.</returns>
    public virtual bool Supports(string path, nn.Module module) => Supports(module);

    /// <summary>Tells what prevents an adapter with given settings on a module.</summary>
    /// <param name="module">The module.</param>
    /// <param name="settings">The settings.</param>
    /// <returns>The problems, each a clause that can follow the module's path; none by default.</returns>
    public virtual IEnumerable<string> Problems(nn.Module module, AdapterSettings settings) => [];

    /// <summary>Makes the layer that adapts a module, without an adapter at first.</summary>
    /// <param name="module">The module.</param>
    /// <param name="ownsBase">Whether the module becomes a child of the layer; it does not when the layer is a hook beside it.</param>
    /// <returns>The layer.</returns>
    public abstract ILoraLayer Create(nn.Module module, bool ownsBase);
}
