namespace Lora;

/// <summary>A yes or no that several parameters or layers have to agree upon.</summary>
public enum Agreement
{
    /// <summary>No, for all of them.</summary>
    No,

    /// <summary>Yes, for all of them.</summary>
    Yes,

    /// <summary>They do not agree.</summary>
    Irregular,
}
