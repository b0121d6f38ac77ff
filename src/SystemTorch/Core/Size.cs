using System.Collections;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>The shape of a tensor. As in the package two sizes are equal only when they hold the same array.</summary>
    public struct Size : IEnumerable<long>
    {
        public static Size Empty = new(Array.Empty<long>());

        private readonly long[] _shape;

        public Size(long[] shape) => _shape = [.. shape];

        public Size(IEnumerable<long> shape) => _shape = [.. shape];

        public Size(int[] shape) => _shape = Array.ConvertAll(shape, s => (long)s);

        public Size(long size) => _shape = [size];

        public Size(int size) => _shape = [size];

        public Size((long, long) size) => _shape = [size.Item1, size.Item2];

        public Size((long, long, long) size) => _shape = [size.Item1, size.Item2, size.Item3];

        public Size((long, long, long, long) size) => _shape = [size.Item1, size.Item2, size.Item3, size.Item4];

        public Size((int, int) size) => _shape = [size.Item1, size.Item2];

        public Size((int, int, int) size) => _shape = [size.Item1, size.Item2, size.Item3];

        public Size((int, int, int, int) size) => _shape = [size.Item1, size.Item2, size.Item3, size.Item4];

        public long[] Shape => [.. Inner];

        public int Length => Inner.Length;

        public bool IsEmpty => Inner.Length == 0;

        public bool IsScalar => Inner.Length == 0;

        private readonly long[] Inner => _shape ?? [];

        public long this[int idx] => Inner[idx];

        public long this[long idx] => Inner[idx];

        public long numel()
        {
            long count = 1;
            foreach (long s in Inner) count *= s;
            return count;
        }

        public Size Slice(int first, int next) => new(Inner[first..next]);

        public IEnumerable<long> Take(int i) => Inner.Take(i);

        public IEnumerator<long> GetEnumerator() => ((IEnumerable<long>)Inner).GetEnumerator();

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

        public static implicit operator Size(long size) => new(size);

        public static implicit operator Size(long[] size) => new(size);

        public static implicit operator Size((long, long) size) => new(size);

        public static implicit operator Size((long, long, long) size) => new(size);

        public static implicit operator Size((long, long, long, long) size) => new(size);

        public static Size operator +(Size left, Size right) => new([.. left.Inner, .. right.Inner]);

        public static Size operator +(Size left, IEnumerable<long> right) => new([.. left.Inner, .. right]);

        public static bool operator ==(Size left, Size right) => left._shape == right._shape;

        public static bool operator !=(Size left, Size right) => !(left == right);

        public override bool Equals(object obj) => obj is Size other && this == other;

        public override int GetHashCode() => _shape?.GetHashCode() ?? 0;
    }
}
