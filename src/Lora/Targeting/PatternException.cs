namespace Lora.Targeting;

/// <summary>Says why a regular expression is invalid. It never leaves the library: whoever knows where the pattern came from words the error.</summary>
internal sealed class PatternException(string reason, Exception? innerException = null) : Exception(reason, innerException);
