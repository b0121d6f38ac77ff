using Lora.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Models;

/// <summary>Small models that compute second(tanh(first(x))) with widths 7, 5 and 3 and differ in how they hold their layers.</summary>
internal static class TestModels
{
    public const int In = 7;
    public const int Middle = 5;
    public const int Out = 3;

    public static nn.Module<Tensor, Tensor> Make(Holder holder, LayerKind kind = LayerKind.Linear, ScalarType type = ScalarType.Float32)
    {
        nn.Module<Tensor, Tensor> first = kind.Make(In, Middle, type, seed: 10);
        nn.Module<Tensor, Tensor> second = kind.Following().Make(Middle, Out, type, seed: 20);
        return holder switch
        {
            Holder.Field => new FieldModel(first, second),
            Holder.ReadonlyField => new ReadonlyFieldModel(first, second),
            Holder.AutoProperty => new AutoPropertyModel(first, second),
            Holder.InterfaceField => new InterfaceFieldModel(first, second),
            Holder.ModuleList => new ListModel<nn.Module<Tensor, Tensor>>(first, second),
            Holder.ModuleDict => new DictModel<nn.Module<Tensor, Tensor>>(first, second),
            Holder.Sequential => new SequentialModel(first, second),
            Holder.Nested => new NestedModel(new FieldModel(first, second)),
            Holder.Shared => new SharedModel(first, kind.Make(Middle, Middle, type, seed: 30), second),
            Holder.SharedAcrossParents => new SharedAcrossParentsModel(first, kind.Make(Middle, Middle, type, seed: 30), second),
            Holder.TypedField => Typed(first, second, typeof(TypedFieldModel<>)),
            Holder.TypedList => Typed(first, second, typeof(ListModel<>)),
            Holder.TypedDict => Typed(first, second, typeof(DictModel<>)),
            Holder.NoField => new NoFieldModel(first, second),
            _ => throw new ArgumentOutOfRangeException(nameof(holder)),
        };
    }

    /// <summary>An input of two or three dimensions.</summary>
    public static Tensor Input(int dimensions = 2, ScalarType type = ScalarType.Float32) =>
        Noise.Fill(empty(dimensions == 2 ? [4, In] : [2, 3, In], type, TestDevice.Current), seed: 40, range: 1.7);

    private static nn.Module<Tensor, Tensor> Typed(nn.Module<Tensor, Tensor> first, nn.Module<Tensor, Tensor> second, Type model) =>
        (nn.Module<Tensor, Tensor>)Activator.CreateInstance(model.MakeGenericType(first.GetType()), first, second)!;
}

internal sealed class FieldModel : nn.Module<Tensor, Tensor>
{
    private nn.Module<Tensor, Tensor> _first;
    private nn.Module<Tensor, Tensor> _second;

    public FieldModel(nn.Module<Tensor, Tensor> first, nn.Module<Tensor, Tensor> second)
        : base(nameof(FieldModel))
    {
        (_first, _second) = (first, second);
        RegisterComponents();
    }

    public nn.Module<Tensor, Tensor> First { get => _first; set => _first = value; }

    public nn.Module<Tensor, Tensor> Second { get => _second; set => _second = value; }

    public override Tensor forward(Tensor input)
    {
        using Tensor a = _first.call(input);
        using Tensor b = a.tanh();
        return _second.call(b);
    }
}

internal sealed class ReadonlyFieldModel : nn.Module<Tensor, Tensor>
{
    private readonly nn.Module<Tensor, Tensor> _first;
    private readonly nn.Module<Tensor, Tensor> _second;

    public ReadonlyFieldModel(nn.Module<Tensor, Tensor> first, nn.Module<Tensor, Tensor> second)
        : base(nameof(ReadonlyFieldModel))
    {
        (_first, _second) = (first, second);
        RegisterComponents();
    }

    public override Tensor forward(Tensor input)
    {
        using Tensor a = _first.call(input);
        using Tensor b = a.tanh();
        return _second.call(b);
    }
}

internal sealed class AutoPropertyModel : nn.Module<Tensor, Tensor>
{
    public AutoPropertyModel(nn.Module<Tensor, Tensor> first, nn.Module<Tensor, Tensor> second)
        : base(nameof(AutoPropertyModel))
    {
        (First, Second) = (first, second);
        RegisterComponents();
    }

    public nn.Module<Tensor, Tensor> First { get; }

    public nn.Module<Tensor, Tensor> Second { get; }

    public override Tensor forward(Tensor input)
    {
        using Tensor a = First.call(input);
        using Tensor b = a.tanh();
        return Second.call(b);
    }
}

internal sealed class InterfaceFieldModel : nn.Module<Tensor, Tensor>
{
    private readonly nn.IModule<Tensor, Tensor> _first;
    private readonly nn.IModule<Tensor, Tensor> _second;

    public InterfaceFieldModel(nn.Module<Tensor, Tensor> first, nn.Module<Tensor, Tensor> second)
        : base(nameof(InterfaceFieldModel))
    {
        (_first, _second) = (first, second);
        RegisterComponents();
    }

    public override Tensor forward(Tensor input)
    {
        using Tensor a = _first.call(input);
        using Tensor b = a.tanh();
        return _second.call(b);
    }
}

internal sealed class ListModel<TLayer> : nn.Module<Tensor, Tensor>
    where TLayer : nn.Module<Tensor, Tensor>
{
    private readonly ModuleList<TLayer> _layers;

    public ListModel(TLayer first, TLayer second)
        : base("ListModel")
    {
        _layers = new ModuleList<TLayer>(first, second);
        RegisterComponents();
    }

    public ModuleList<TLayer> Layers => _layers;

    public override Tensor forward(Tensor input)
    {
        using Tensor a = _layers[0].call(input);
        using Tensor b = a.tanh();
        return _layers[^1].call(b);
    }
}

internal sealed class DictModel<TLayer> : nn.Module<Tensor, Tensor>
    where TLayer : nn.Module<Tensor, Tensor>
{
    private readonly ModuleDict<TLayer> _layers = [];

    public DictModel(TLayer first, TLayer second)
        : base("DictModel")
    {
        _layers.Add("first", first);
        _layers.Add("second", second);
        RegisterComponents();
    }

    public override Tensor forward(Tensor input)
    {
        using Tensor a = _layers["first"].call(input);
        using Tensor b = a.tanh();
        return _layers["second"].call(b);
    }
}

internal sealed class SequentialModel : nn.Module<Tensor, Tensor>
{
    private readonly Sequential _layers;

    public SequentialModel(nn.Module<Tensor, Tensor> first, nn.Module<Tensor, Tensor> second)
        : base(nameof(SequentialModel))
    {
        _layers = nn.Sequential(("first", first), ("tanh", nn.Tanh()), ("second", second));
        RegisterComponents();
    }

    public override Tensor forward(Tensor input) => _layers.call(input);
}

internal sealed class NestedModel : nn.Module<Tensor, Tensor>
{
    private readonly FieldModel _inner;

    public NestedModel(FieldModel inner)
        : base(nameof(NestedModel))
    {
        _inner = inner;
        RegisterComponents();
    }

    public override Tensor forward(Tensor input) => _inner.call(input);
}

/// <summary>One layer in two fields.</summary>
internal sealed class SharedModel : nn.Module<Tensor, Tensor>
{
    private readonly nn.Module<Tensor, Tensor> _first;
    private readonly nn.Module<Tensor, Tensor> _middle;
    private readonly nn.Module<Tensor, Tensor> _again;
    private readonly nn.Module<Tensor, Tensor> _second;

    public SharedModel(nn.Module<Tensor, Tensor> first, nn.Module<Tensor, Tensor> middle, nn.Module<Tensor, Tensor> second)
        : base(nameof(SharedModel))
    {
        (_first, _middle, _again, _second) = (first, middle, middle, second);
        RegisterComponents();
    }

    public override Tensor forward(Tensor input)
    {
        using Tensor a = _first.call(input);
        using Tensor b = _middle.call(a);
        using Tensor c = b.tanh();
        using Tensor d = _again.call(c);
        return _second.call(d);
    }
}

/// <summary>One layer at the root and in a list behind another child.</summary>
internal sealed class SharedAcrossParentsModel : nn.Module<Tensor, Tensor>
{
    private readonly nn.Module<Tensor, Tensor> _middle;
    private readonly nn.Module<Tensor, Tensor> _first;
    private readonly ModuleList<nn.Module<Tensor, Tensor>> _rest;

    public SharedAcrossParentsModel(nn.Module<Tensor, Tensor> first, nn.Module<Tensor, Tensor> middle, nn.Module<Tensor, Tensor> second)
        : base(nameof(SharedAcrossParentsModel))
    {
        (_first, _middle) = (first, middle);
        _rest = new ModuleList<nn.Module<Tensor, Tensor>>(middle, second, middle);
        RegisterComponents();
    }

    public override Tensor forward(Tensor input)
    {
        using Tensor a = _first.call(input);
        using Tensor b = _middle.call(a);
        using Tensor c = _rest[2].call(b);
        using Tensor d = _rest[0].call(c);
        using Tensor e = d.tanh();
        return _rest[1].call(e);
    }
}

internal sealed class TypedFieldModel<TLayer> : nn.Module<Tensor, Tensor>
    where TLayer : nn.Module<Tensor, Tensor>
{
    private readonly TLayer _first;
    private readonly TLayer _second;

    public TypedFieldModel(TLayer first, TLayer second)
        : base("TypedFieldModel")
    {
        (_first, _second) = (first, second);
        RegisterComponents();
    }

    /// <summary>Whether the second layer is run by forward, which no hook sees.</summary>
    public bool SkipsCall { get; set; }

    public TLayer First => _first;

    public TLayer Second => _second;

    public override Tensor forward(Tensor input)
    {
        using Tensor a = _first.call(input);
        using Tensor b = a.tanh();
        return SkipsCall ? _second.forward(b) : _second.call(b);
    }
}

/// <summary>Layers that only an array holds.</summary>
internal sealed class NoFieldModel : nn.Module<Tensor, Tensor>
{
    private readonly nn.Module<Tensor, Tensor>[] _layers;

    public NoFieldModel(nn.Module<Tensor, Tensor> first, nn.Module<Tensor, Tensor> second)
        : base(nameof(NoFieldModel))
    {
        _layers = [first, second];
        register_module("first", first);
        register_module("second", second);
    }

    public override Tensor forward(Tensor input)
    {
        using Tensor a = _layers[0].call(input);
        using Tensor b = a.tanh();
        return _layers[1].call(b);
    }
}
