namespace Lora.Tests.Models;

/// <summary>How a model holds its layers, which decides how adapters can be attached.</summary>
public enum Holder
{
    Field,
    ReadonlyField,
    AutoProperty,
    InterfaceField,
    ModuleList,
    ModuleDict,
    Sequential,
    Nested,
    Shared,
    SharedAcrossParents,
    TypedField,
    TypedList,
    TypedDict,
    NoField,
}

internal static class HolderExtensions
{
    /// <summary>Whether a layer held so cannot be replaced and is reached by a hook.</summary>
    public static bool NeedsHook(this Holder holder) => holder is Holder.TypedField or Holder.TypedList or Holder.TypedDict or Holder.NoField;
}
