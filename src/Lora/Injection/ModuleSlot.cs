using System.Collections;
using System.Globalization;
using System.Reflection;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Lora.Injection;

/// <summary>The field or the place in a container from which a parent calls its child, where another module can be put.</summary>
internal abstract class ModuleSlot
{
    private const BindingFlags AnyField = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    private protected ModuleSlot(ModuleSite site) => Site = site;

    private protected ModuleSite Site { get; }

    /// <summary>Finds the slot of a child.</summary>
    /// <param name="site">Where the child is.</param>
    /// <param name="replacement">The type of what is to be put there.</param>
    /// <param name="obstacle">Why there is none: what holds the child, and what its type forbids.</param>
    /// <returns>The slot, or null.</returns>
    internal static ModuleSlot? Find(ModuleSite site, Type replacement, out string obstacle)
    {
        obstacle = "";
        Type parent = site.Parent.GetType();
        if (site.Parent is Sequential) return SequentialSlot.Find(site, out obstacle);
        if (GenericBase(parent, typeof(ModuleList<>)) is Type list) return ListSlot.Find(site, list, replacement, ref obstacle);
        if (GenericBase(parent, typeof(ModuleDict<>)) is Type dictionary) return DictionarySlot.Find(site, dictionary, replacement, ref obstacle);

        // A parent may hold a child in several fields; the one that gave it its name is the one it is called by.
        FieldInfo? field = FieldsOf(parent)
            .Where(f => ReferenceEquals(f.GetValue(site.Parent), site.Module))
            .OrderByDescending(f => ComponentName(f) == site.Name)
            .FirstOrDefault();
        if (field is null)
            obstacle = $"no field of {ReadableName(parent)} holds it";
        else if (!field.FieldType.IsAssignableFrom(replacement))
            obstacle = $"field '{ReadableName(field)}' of {ReadableName(parent)} has the type {ReadableName(field.FieldType)}";
        else
            return new FieldSlot(site, field);
        return null;
    }

    /// <summary>Puts a module into the slot, and under the same name among the children that are to change.</summary>
    internal abstract void Set(nn.Module module, ChildExchange children);

    internal static string ReadableName(Type type) => type.IsGenericType
        ? $"{type.Name[..type.Name.IndexOf('`', StringComparison.Ordinal)]}<{string.Join(", ", type.GetGenericArguments().Select(ReadableName))}>"
        : type.Name;

    // An auto-property's field is called <Name>k__BackingField.
    private static string ReadableName(FieldInfo field) =>
        field.Name.StartsWith('<') ? field.Name[1..field.Name.IndexOf('>', StringComparison.Ordinal)] : field.Name;

    private static IEnumerable<FieldInfo> FieldsOf(Type type)
    {
        for (Type? declaring = type; declaring is not null && declaring != typeof(nn.Module); declaring = declaring.BaseType)
        {
            foreach (FieldInfo field in declaring.GetFields(AnyField))
                if (typeof(nn.Module).IsAssignableFrom(field.FieldType) || field.FieldType.IsInterface) yield return field;
        }
    }

    private static string ComponentName(FieldInfo field) => field.GetCustomAttribute<ComponentNameAttribute>()?.Name ?? field.Name;

    private static bool Fits(Type container, Type replacement, ref string obstacle)
    {
        Type element = container.GetGenericArguments()[0];
        if (element.IsAssignableFrom(replacement)) return true;
        obstacle = $"the elements of the {ReadableName(container)} have the type {ReadableName(element)}";
        return false;
    }

    private static Type? GenericBase(Type type, Type definition)
    {
        for (Type? candidate = type; candidate is not null; candidate = candidate.BaseType)
            if (candidate.IsGenericType && candidate.GetGenericTypeDefinition() == definition) return candidate;
        return null;
    }

    private sealed class FieldSlot(ModuleSite site, FieldInfo field) : ModuleSlot(site)
    {
        internal override void Set(nn.Module module, ChildExchange children)
        {
            field.SetValue(Site.Parent, module);
            children.Add(Site.Parent, Site.Name, module);
        }
    }

    private sealed class ListSlot(ModuleSite site, PropertyInfo item, int index) : ModuleSlot(site)
    {
        // A list may have been changed since its modules got their names, so the name does not always tell the place.
        internal static ListSlot? Find(ModuleSite site, Type list, Type replacement, ref string obstacle)
        {
            if (!Fits(list, replacement, ref obstacle)) return null;
            nn.Module?[] held = [.. ((IEnumerable)site.Parent).Cast<nn.Module?>()];
            bool named = int.TryParse(site.Name, NumberStyles.None, CultureInfo.InvariantCulture, out int index) && index < held.Length && ReferenceEquals(held[index], site.Module);
            if (!named) index = Array.FindIndex(held, module => ReferenceEquals(module, site.Module));
            if (index >= 0) return new ListSlot(site, list.GetProperty("Item", [typeof(int)])!, index);
            obstacle = $"the {ReadableName(list)} does not hold it any more";
            return null;
        }

        internal override void Set(nn.Module module, ChildExchange children)
        {
            item.SetValue(Site.Parent, module, [index]);
            children.Add(Site.Parent, Site.Name, module);
        }
    }

    private sealed class DictionarySlot(ModuleSite site, PropertyInfo item) : ModuleSlot(site)
    {
        internal static DictionarySlot? Find(ModuleSite site, Type dictionary, Type replacement, ref string obstacle)
        {
            if (!Fits(dictionary, replacement, ref obstacle)) return null;
            PropertyInfo item = dictionary.GetProperty("Item", [typeof(string)])!;
            bool holds = (bool)dictionary.GetMethod("ContainsKey", [typeof(string)])!.Invoke(site.Parent, [site.Name])!;
            if (holds && ReferenceEquals(item.GetValue(site.Parent, [site.Name]), site.Module)) return new DictionarySlot(site, item);
            obstacle = $"the {ReadableName(dictionary)} does not hold it any more";
            return null;
        }

        internal override void Set(nn.Module module, ChildExchange children)
        {
            item.SetValue(Site.Parent, module, [Site.Name]);
            children.Add(Site.Parent, Site.Name, module);
        }
    }

    /// <summary>A Sequential calls what its private list holds, and lists its children from there.</summary>
    private sealed class SequentialSlot : ModuleSlot
    {
        private readonly IList<nn.IModule<Tensor, Tensor>> _modules;
        private readonly int _index;

        private SequentialSlot(ModuleSite site, IList<nn.IModule<Tensor, Tensor>> modules, int index)
            : base(site)
        {
            _modules = modules;
            _index = index;
        }

        internal static SequentialSlot? Find(ModuleSite site, out string obstacle)
        {
            object? value = typeof(Sequential).GetField("_modules", AnyField)?.GetValue(site.Parent);
            int index = value is IList<nn.IModule<Tensor, Tensor>> list ? IndexNamed(list, site) : -1;
            obstacle = index < 0 ? $"this version of {nameof(Sequential)} keeps its modules where they cannot be replaced" : "";
            return index < 0 ? null : new SequentialSlot(site, (IList<nn.IModule<Tensor, Tensor>>)value!, index);
        }

        internal override void Set(nn.Module module, ChildExchange children) => _modules[_index] = (nn.IModule<Tensor, Tensor>)module;

        // By name and module: a Sequential may hold one module in several places, each of which is a slot of its own.
        private static int IndexNamed(IList<nn.IModule<Tensor, Tensor>> list, ModuleSite site)
        {
            int index = 0;
            foreach ((string name, nn.Module child) in site.Parent.named_children())
            {
                if (name == site.Name && ReferenceEquals(child, site.Module)) break;
                index++;
            }
            return index < list.Count && ReferenceEquals(list[index], site.Module) ? index : -1;
        }
    }
}
