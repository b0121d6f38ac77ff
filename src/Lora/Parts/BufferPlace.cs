using System.Reflection;
using static TorchSharp.torch;

namespace Lora.Parts;

/// <summary>One buffer of a module, such as a running mean.</summary>
internal sealed class BufferPlace : TensorPlace<Tensor>
{
    private static readonly Action<nn.Module, string, Tensor, bool> _register = typeof(nn.Module)
        .GetMethod("ConditionallyRegisterBuffer", BindingFlags.Instance | BindingFlags.NonPublic, [typeof(string), typeof(Tensor), typeof(bool)])!
        .CreateDelegate<Action<nn.Module, string, Tensor, bool>>();

    private BufferPlace(nn.Module module, string name)
        : base(module, name) => IsSaved = module.named_buffers(recurse: false, include_nonpersistent: false).Any(b => b.name == name);

    /// <summary>Whether the module's state has it.</summary>
    internal bool IsSaved { get; }

    internal override Tensor? Current => Module.named_buffers(recurse: false).FirstOrDefault(b => b.name == Name).buffer;

    /// <summary>Finds the place of a module's own buffer.</summary>
    /// <param name="module">The module.</param>
    /// <param name="name">The buffer's name in it.</param>
    /// <param name="obstacle">Why there is none.</param>
    internal static BufferPlace? Find(nn.Module module, string name, out string obstacle)
    {
        var place = new BufferPlace(module, name);
        obstacle = place.Obstacle ?? "";
        return obstacle.Length == 0 ? place : null;
    }

    internal override Tensor Make(Tensor value, bool requiresGrad) => value;

    protected override void Register(Tensor tensor) => _register(Module, Name, tensor, IsSaved);
}
