namespace Lora;

/// <summary>How an adapted layer takes part in its model.</summary>
public enum AttachmentKind
{
    /// <summary>It stands where its base layer stood.</summary>
    Swapped,

    /// <summary>Its base layer stayed, and a forward hook adds the adapter's term. Hooks fire in <c>call</c> only, not in <c>forward</c>.</summary>
    Hooked,
}
