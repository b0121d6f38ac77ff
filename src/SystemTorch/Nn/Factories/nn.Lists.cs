namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        // How one number, or a tuple, becomes the list that an operator takes; null stays null.
        private static long[] Repeat(long value, int count)
        {
            var list = new long[count];
            Array.Fill(list, value);
            return list;
        }

        private static long[] Repeat(long? value, int count) => value is long v ? Repeat(v, count) : null;

        private static long[] List((long, long)? values) => values is (long a, long b) ? [a, b] : null;

        private static long[] List((long, long, long)? values) => values is (long a, long b, long c) ? [a, b, c] : null;
    }
}
