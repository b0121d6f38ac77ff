namespace Samples;

/// <summary>The arguments of a program are wrong; the message says which and how.</summary>
internal sealed class UsageException(string message) : Exception(message);
