using System.Linq.Expressions;
using System.Reflection;
using static TorchSharp.torch;

namespace Lora.Injection;

/// <summary>Hooks on modules of any signature.</summary>
internal static class ModuleHooks
{
    /// <summary>Whether a module has hooks, which is when it has a forward.</summary>
    internal static bool CanHook(nn.Module module) => Method(module, "register_forward_hook") is not null;

    /// <summary>Calls back before each pass through <c>call</c>.</summary>
    internal static IDisposable Before(nn.Module module, Action callback) => Register(module, "register_forward_pre_hook", callback);

    /// <summary>Calls back after each pass through <c>call</c> that did not fail.</summary>
    internal static IDisposable After(nn.Module module, Action callback) => Register(module, "register_forward_hook", callback);

    /// <summary>Calls back before each pass through <c>call</c>, with the arguments.</summary>
    internal static IDisposable BeforeWith(nn.Module module, Action<object?[]> callback)
    {
        // Func<module, argument…, answer>: the answer of one argument is the argument, that of several null, which leaves them as they are.
        MethodInfo method = module.GetType().GetMethods().First(method => method.Name == "register_forward_pre_hook" && method.GetParameters() is [{ ParameterType: var type }] && type != typeof(Action<nn.Module>));
        Type hook = method.GetParameters()[0].ParameterType;
        ParameterExpression[] parameters = [.. hook.GetGenericArguments().SkipLast(1).Select(type => Expression.Parameter(type))];
        Expression told = Expression.Invoke(Expression.Constant(callback), Expression.NewArrayInit(typeof(object), parameters.Skip(1).Select(parameter => Expression.Convert(parameter, typeof(object)))));
        Expression answer = parameters.Length == 2 ? parameters[1] : Expression.Default(hook.GetGenericArguments()[^1]);
        object remover = method.Invoke(module, [Expression.Lambda(hook, Expression.Block(told, answer), parameters).Compile()])!;
        return Removal(remover);
    }

    private static HookRemoval Register(nn.Module module, string method, Action callback)
    {
        Action<nn.Module> hook = _ => callback();
        object remover = Method(module, method)!.Invoke(module, [hook])!;
        return Removal(remover);
    }

    private static HookRemoval Removal(object remover) => new(() => remover.GetType().GetMethod("remove")!.Invoke(remover, null));

    // The methods are declared on a generic base, whose type arguments follow the module's signature.
    private static MethodInfo? Method(nn.Module module, string name) => module.GetType().GetMethod(name, [typeof(Action<nn.Module>)]);
}
