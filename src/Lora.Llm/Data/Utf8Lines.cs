using System.Text;

namespace Lora.Llm;

/// <summary>Reads the lines of a UTF-8 file. Unlike <see cref="File.ReadLines(string)"/> it does not replace bytes that are no text.</summary>
internal static class Utf8Lines
{
    private static readonly UTF8Encoding _strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>The lines with their numbers, from 1, without their ends and without a byte order mark.</summary>
    /// <exception cref="InvalidDataException">A line is not UTF-8, or longer than texts are; the message names file and line.</exception>
    internal static IEnumerable<(int Number, string Text)> Read(string path, int bufferBytes = 1 << 16, int longestLine = 1 << 30)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
        byte[] buffer = new byte[bufferBytes];
        int start = 0, end = 0, number = 0;
        while (true)
        {
            int length = buffer.AsSpan(start, end - start).IndexOf((byte)'\n');
            if (length >= 0)
            {
                number++;
                yield return (number, Decode(path, number, buffer.AsSpan(start, length)));
                start += length + 1;
                continue;
            }
            // What is left of the buffer begins a line that goes on in the file.
            if (start > 0)
            {
                buffer.AsSpan(start, end - start).CopyTo(buffer);
                (start, end) = (0, end - start);
            }
            if (end == buffer.Length)
            {
                if (end >= longestLine) throw new InvalidDataException($"{path}, line {number + 1}: it is longer than {longestLine} bytes: are the line ends missing?");
                Array.Resize(ref buffer, buffer.Length * 2);
            }
            int read = stream.Read(buffer, end, buffer.Length - end);
            if (read == 0) break;
            end += read;
        }
        if (end > 0) yield return (number + 1, Decode(path, number + 1, buffer.AsSpan(0, end)));
    }

    private static string Decode(string path, int number, ReadOnlySpan<byte> line)
    {
        if (number == 1 && line.StartsWith("\uFEFF"u8)) line = line[3..];
        if (line.EndsWith("\r"u8)) line = line[..^1];
        try
        {
            return _strict.GetString(line);
        }
        catch (DecoderFallbackException exception)
        {
            throw new InvalidDataException($"{path}, line {number}: not valid UTF-8: save the file in that encoding.", exception);
        }
    }
}
