using System.Globalization;
using System.Runtime.InteropServices;

namespace TorchSharp;

/// <summary>
/// Carries an exception of managed code over libtorch, which knows texts only: the text ends with a number under which the exception is kept, so that
/// the one who called backward() gets it as the inner exception, whatever thread it happened on.
/// </summary>
internal static class ManagedFailures
{
    private const int Kept = 64; // one that nobody asks for is forgotten
    private const char Mark = '\u001F';

    private static readonly (int Number, Exception Exception)[] _kept = new (int, Exception)[Kept];
    private static readonly Lock _lock = new();
    private static int _last;

    [ThreadStatic]
    private static IntPtr _text;

    /// <summary>Keeps the exception. The text belongs to this class and is valid until the next failure on this thread.</summary>
    internal static IntPtr Keep(Exception exception)
    {
        int number;
        lock (_lock)
        {
            number = ++_last;
            _kept[number % Kept] = (number, exception);
        }
        Marshal.FreeCoTaskMem(_text);
        string message = exception is ExternalException ? exception.Message : $"{exception.GetType().Name}: {exception.Message}";
        return _text = Marshal.StringToCoTaskMemUTF8(message + Mark + number.ToString(CultureInfo.InvariantCulture) + Mark);
    }

    /// <summary>The exception for a native failure, with the managed one inside if that was its cause.</summary>
    internal static ExternalException Restore(string message)
    {
        int start = message.IndexOf(Mark, StringComparison.Ordinal);
        int end = start < 0 ? -1 : message.IndexOf(Mark, start + 1);
        if (end < 0 || !int.TryParse(message.AsSpan(start + 1, end - start - 1), NumberStyles.None, CultureInfo.InvariantCulture, out int number))
            return new ExternalException(message);
        Exception inner = null;
        lock (_lock)
        {
            ref (int Number, Exception Exception) entry = ref _kept[number % Kept];
            if (entry.Number == number) (inner, entry) = (entry.Exception, default);
        }
        return new ExternalException(message[..start] + message[(end + 1)..], inner);
    }
}
