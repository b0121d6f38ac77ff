using System.Text;

namespace Lora.Fuzzing.Mutation;

/// <summary>Values that readers stumble over.</summary>
internal static class Extremes
{
    /// <summary>Values of JSON, as they are written.</summary>
    internal static readonly byte[][] Leaves = Array.ConvertAll<string, byte[]>(
    [
        "0", "-0", "1", "-1", "2", "3", "7", "8", "16", "63", "64", "65", "127", "128", "255", "256", "1000", "65535", "65536", "1048575", "1048576", "16777216", "2147483647", "2147483648",
        "-2147483648", "4294967295", "4294967296", "9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "18446744073709551615",
        "18446744073709551616", "1e999", "-1e999", "1e-999", "1e308", "1e400", "4.9e-324", "0.1", "0.5", "0.9999999", "1.0", "1.5", "-0.0", "1E5", "1e2", "1.0e1", "NaN", "Infinity", "-Infinity", "01", "1.", ".5", "+1", "0x10",
        "123456789012345678901234567890123456789012345678901234567890", "true", "false", "null", "True", "None", "nul", "{}", "[]", "[[]]", "[{}]", "{\"\":{}}", "[null]", "[0,0]", "[1,2,3]", "[\"\"]", "[-1]", "[1,1]", "{\"a\":1}", "{\"0\":\"a\"}", "{\"1\":\"a\"}",
        "\"\"", "\" \"", "\"a\"", "\"0\"", "\"-1\"", "\"1e9\"", "\"true\"", "\"null\"", "\"\\u0000\"", "\"\\ud800\"", "\"\\udc00\\ud800\"", "\"\\ud83d\\ude00\"", "\"\u00e9\"", "\"e\u0301\"", "\"\uFEFF\"", "\"\u2028\"", "\"\U0001F600\"", "\"\\/\"",
        "\"\\n\\r\\t\\b\\f\\\"\\\\\"", "\"..\"", "\".\"", "\"/\"", "\"../../etc/passwd\"", "\"C:\\\\a\"", "\"a/b\"", "\"a.b.c\"", "\"*\"", "\"(\"", "\"[\"", "\"a{2,1}\"", "\"(?P<a>b)\"", "\"(?<n>a)\\\\k<n>\"", "\".*\"", "\"\\\\\"", "\"(a+)+$\"", "\"[^\\\\s\\\\p{L}]+\"", "\"a{1000}\"", "\"(?i)s\"", "\"all-linear\"", "\"%s%n\"", "\"<unk>\"", "\"[UNK]\"", "\"\u2581\"",
    ], Encoding.UTF8.GetBytes);

    /// <summary>Pieces of any text.</summary>
    internal static readonly byte[][] Pieces = Array.ConvertAll<string, byte[]>(
        ["{", "}", "[", "]", ":", ",", "\"", "\\", "\\u", "\\ud800", "\0", "\n", "\r\n", " ", "\t", "//", "/*", "*/", "-", "e", ".", "00", "null", "true", "\uFEFF", "\u2028", "\uFFFD", "\U0010FFFF", "{\"", "\":", "\"}", "[[[[[[[[", "{\"a\":{\"a\":{\"a\":"], Encoding.UTF8.GetBytes);

    /// <summary>Bytes that no UTF-8 has, or not there.</summary>
    internal static readonly byte[][] Invalid = [[0x80], [0xC0, 0x80], [0xC3], [0xE2, 0x82], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xF8], [0xFE], [0xFF], [0xFF, 0xFE]];

    /// <summary>Whole numbers at the borders of their types.</summary>
    internal static readonly ulong[] Numbers =
    [
        0, 1, 2, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 255, 256, 1023, 1024, 4095, 4096, 65535, 65536, 99_999_999, 100_000_000, 100_000_001, int.MaxValue, 1UL << 31, uint.MaxValue, 1UL << 32, (1UL << 32) + 1, 1UL << 40, 1UL << 53,
        long.MaxValue - 7, long.MaxValue, 1UL << 63, ulong.MaxValue - 8, ulong.MaxValue - 7, ulong.MaxValue - 1, ulong.MaxValue,
    ];
}
