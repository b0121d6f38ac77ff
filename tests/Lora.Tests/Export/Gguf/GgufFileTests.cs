using Lora.Export.Gguf;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Export.Gguf;

/// <summary>GGUF files that were written are read as they were; broken ones are refused with the place.</summary>
public sealed class GgufFileTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string, byte[], string> Broken
    {
        get
        {
            string longName = new('n', 65);
            byte[] data = new byte[32];
            return new TheoryData<string, byte[], string>
            {
                { "too short", [1, 2], "byte 0: a GGUF file begins with the letters GGUF, but this one has 2 bytes." },
                { "another mark", [.. "GGML"u8, .. new byte[60]], "byte 0: a GGUF file begins with the letters GGUF, but this one does not." },
                { "no version", [.. "GGUF"u8, 1], "byte 4: the version takes 4 bytes, but the file ends after 1." },
                { "version 1", new GgufBytes(version: 1).ToArray(), "byte 4: the version is 1, but 2 and 3 are supported." },
                { "big-endian", new GgufBytes(version: 0x03000000).ToArray(), "byte 4: the file is in big-endian order, which is not supported: convert it with the tools that it was made with." },
                { "no counts", new GgufBytes().ToArray()[..20], "byte 16: the number of keys takes 8 bytes, but the file ends after 4." },
                { "too many tensors", new GgufBytes(tensors: 1UL << 60).ToArray(), "byte 8: the file claims 1152921504606846976 tensors, for which its 24 bytes have no room." },
                { "too many keys", new GgufBytes(pairs: ulong.MaxValue).ToArray(), "byte 16: the file claims 18446744073709551615 keys, for which its 24 bytes have no room." },
                { "a key beyond the end", new GgufBytes(pairs: 1).Number(1000ul).Raw(new byte[20]).ToArray(), "byte 24: the name of key 0 has 1000 bytes, but the file ends after 20." },
                { "an empty key", new GgufBytes(pairs: 1).Text("").Number(0u).Raw(new byte[20]).ToArray(), "byte 24: the name of key 0 is empty." },
                { "a key that is no text", new GgufBytes(pairs: 1).Number(2ul).Raw(0xFF, 0xFE).Number(0u).Raw(1).ToArray(), "byte 32: the name of key 0 is not valid UTF-8." },
                { "a key twice", new GgufBytes(pairs: 2).Text("a").Number(0u).Raw(1).Text("a").Number(0u).Raw(1).ToArray(), "byte 38: key 'a' appears twice." },
                { "an unknown type", new GgufBytes(pairs: 1).Text("a").Number(13u).Raw(new byte[8]).ToArray(), "byte 33: key 'a' has the type 13, which the format does not have." },
                { "a truth of 2", new GgufBytes(pairs: 1).Text("a").Number(7u).Raw(2).ToArray(), "byte 37: key 'a' is 2, but a truth value is 0 or 1." },
                { "a list of truths", new GgufBytes(pairs: 1).Text("a").Number(9u).Number(7u).Number(3ul).Raw(1, 0, 7).ToArray(), "byte 51: item 2 of key 'a' is 7, but a truth value is 0 or 1." },
                { "a cut number", new GgufBytes(pairs: 1).Text("a").Number(10u).Raw(1).ToArray(), "byte 37: key 'a' takes 8 bytes, but the file ends after 1." },
                { "a text beyond the end", new GgufBytes(pairs: 1).Text("a").Number(8u).Number(9ul).Raw(1).ToArray(), "byte 37: key 'a' has 9 bytes, but the file ends after 1." },
                { "a list beyond the end", new GgufBytes(pairs: 1).Text("a").Number(9u).Number(4u).Number(1ul << 40).ToArray(), "byte 37: key 'a' has 1099511627776 items of at least 4 bytes, but the file ends after 0 bytes." },
                { "a list of texts beyond the end", new GgufBytes(pairs: 1).Text("a").Number(9u).Number(8u).Number(3ul).Raw(new byte[16]).ToArray(), "byte 37: key 'a' has 3 items of at least 8 bytes, but the file ends after 16 bytes." },
                { "a list of lists", new GgufBytes(pairs: 1).Text("a").Number(9u).Number(9u).Number(0ul).ToArray(), "byte 37: key 'a' is a list of lists, which is not supported." },
                { "a list of an unknown type", new GgufBytes(pairs: 1).Text("a").Number(9u).Number(77u).Number(0ul).ToArray(), "byte 37: the items of key 'a' have the type 77, which the format does not have." },
                { "an odd alignment", new GgufBytes(pairs: 1).Text("general.alignment").Number(4u).Number(24u).ToArray(), "byte 57: key 'general.alignment' must be a uint32 that is a power of two from 8 to 1073741824, but is 24." },
                { "an alignment that no int holds", new GgufBytes(pairs: 1).Text("general.alignment").Number(4u).Number(1u << 31).ToArray(), "byte 57: key 'general.alignment' must be a uint32 that is a power of two from 8 to 1073741824, but is 2147483648." },
                { "an alignment of 64 bits", new GgufBytes(pairs: 1).Text("general.alignment").Number(10u).Number(32ul).ToArray(), "byte 61: key 'general.alignment' must be a uint32 that is a power of two from 8 to 1073741824, but is 32." },
                { "a long name", new GgufBytes(tensors: 1).Tensor(longName, 0, 0, 8).Pad().Raw(data).ToArray(), "byte 24: the name of tensor 0 has 65 bytes; 64 are allowed." },
                { "an empty name", new GgufBytes(tensors: 1).Tensor("", 0, 0, 8).Pad().Raw(data).ToArray(), "byte 24: the name of tensor 0 is empty." },
                { "a name twice", new GgufBytes(tensors: 2).Tensor("t", 0, 0, 8).Tensor("t", 0, 32, 8).Pad().Raw(data).Raw(data).ToArray(), "byte 57: tensor 't' appears twice." },
                { "no dimension", new GgufBytes(tensors: 1).Tensor("t", 0, 0).Pad().Raw(data).ToArray(), "byte 33: tensor 't' has 0 dimensions; 1 to 4 are allowed." },
                { "five dimensions", new GgufBytes(tensors: 1).Tensor("t", 0, 0, 1, 1, 1, 1, 1).Pad().Raw(data).ToArray(), "byte 33: tensor 't' has 5 dimensions; 1 to 4 are allowed." },
                { "a dimension of 0", new GgufBytes(tensors: 1).Tensor("t", 0, 0, 0).Pad().Raw(data).ToArray(), "byte 37: tensor 't' has a dimension of 0, which must be at least 1." },
                { "a product beyond 64 bits", new GgufBytes(tensors: 1).Tensor("t", 0, 0, 8, 1UL << 63, 1UL << 63).Pad().Raw(data).ToArray(), "byte 45: tensor 't' has a dimension of 9223372036854775808, for which a file of 128 bytes has no room." },
                { "an unknown tensor type", new GgufBytes(tensors: 1).Tensor("t", 4, 0, 8).Pad().Raw(data).ToArray(), "byte 45: tensor 't' has the type 4, which is not known." },
                { "broken blocks", new GgufBytes(tensors: 1).Tensor("t", 8, 0, 33).Pad().Raw(data).ToArray(), "byte 45: tensor 't' is Q8_0, whose rows hold a multiple of 32 numbers, but its rows hold 33." },
                { "an offset with a hole", new GgufBytes(tensors: 1).Tensor("t", 0, 32, 8).Pad().Raw(data).Raw(data).ToArray(), "byte 49: tensor 't' begins at 32 of the data, but the tensors before it end at 0." },
                { "tensors that overlap", new GgufBytes(tensors: 2).Tensor("t", 0, 0, 8).Tensor("u", 0, 0, 8).Pad().Raw(data).ToArray(), "byte 82: tensor 'u' begins at 0 of the data, but the tensors before it end at 32." },
                { "data that a file of this length cannot have", new GgufBytes(tensors: 1).Tensor("t", 0, 0, 40).Pad().Raw(data).ToArray(), "byte 49: tensor 't' takes 160 bytes from 0 of the data on, but the whole file has 96: it is cut off." },
                { "cut data", new GgufBytes(tensors: 1).Tensor("t", 0, 0, 8).Pad().Raw(data.AsSpan(0, 31)).ToArray(), "byte 95: the tensors reach to byte 96, but the file ends before: it is cut off." },
                { "more than the data", new GgufBytes(tensors: 1).Tensor("t", 0, 0, 8).Pad().Raw(data).Raw(1).ToArray(), "byte 96: 1 bytes behind the last tensor belong to none." },
            };
        }
    }

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [MemberData(nameof(Broken))]
    public void Broken_files_are_refused(string name, byte[] bytes, string problem)
    {
        string path = _folder["broken.gguf"];
        File.WriteAllBytes(path, bytes);
        AdapterFormatException exception = Assert.Throws<AdapterFormatException>(() => GgufFile.Open(path));
        Assert.True(exception.Problems.SequenceEqual([problem]), $"{name}: {exception.Message}");
        Assert.Equal(path, exception.Path);
    }

    // Each file that is cut or has a bit changed is refused or read; what it claims decides about no allocation.
    [Fact]
    public void Damaged_files_do_no_harm()
    {
        string path = _folder["whole.gguf"], damaged = _folder["damaged.gguf"];
        var writer = new GgufWriter();
        writer.Add("a.text", "some");
        writer.Add("a.list", new[] { "one", "two", "three" });
        writer.Add("a.numbers", new[] { 1u, 2u });
        writer.AddTensor("t", MakeNumbers(3, 5));
        writer.AddTensor("q", MakeNumbers(2, 32), GgufType.Q40);
        Save(writer, path);
        byte[] whole = File.ReadAllBytes(path);
        int refused = 0;
        for (int bit = 0; bit < whole.Length * 8; bit++)
        {
            byte[] bytes = (byte[])whole.Clone();
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
            refused += Try(bytes, damaged);
        }
        for (int length = 0; length < whole.Length; length++) refused += Try(whole[..length], damaged);
        Assert.InRange(refused, whole.Length, whole.Length * 9);
    }

    [Theory]
    [InlineData(32)]
    [InlineData(8)]
    [InlineData(256)]
    public void What_was_written_is_read(int alignment)
    {
        var writer = new GgufWriter(alignment);
        var values = new Dictionary<string, object>
        {
            ["a.byte"] = (byte)200,
            ["a.sbyte"] = (sbyte)-100,
            ["a.ushort"] = (ushort)60000,
            ["a.short"] = (short)-30000,
            ["a.uint"] = 4000000000u,
            ["a.int"] = -2000000000,
            ["a.ulong"] = ulong.MaxValue,
            ["a.long"] = long.MinValue,
            ["a.float"] = 0.1f,
            ["a.double"] = 0.1,
            ["a.true"] = true,
            ["a.false"] = false,
            ["a.text"] = "grün ▁ 🙂",
            ["a.empty"] = "",
            ["l.byte"] = new byte[] { 1, 2 },
            ["l.sbyte"] = new sbyte[] { -1 },
            ["l.ushort"] = new ushort[] { 3 },
            ["l.short"] = new short[] { -4 },
            ["l.uint"] = new uint[] { 5, 6 },
            ["l.int"] = new[] { -7 },
            ["l.ulong"] = new[] { 8ul },
            ["l.long"] = new[] { -9L },
            ["l.float"] = new[] { 1.5f },
            ["l.double"] = new[] { 2.5 },
            ["l.bool"] = new[] { true, false, true },
            ["l.text"] = new[] { "", "one", "ζ" },
            ["l.none"] = Array.Empty<string>(),
        };
        foreach ((string key, object value) in values) writer.Add(key, value);
        var tensors = new Dictionary<string, (Tensor Values, GgufType Type)>
        {
            ["single"] = (MakeNumbers(1), GgufType.F32),
            ["odd"] = (MakeNumbers(3, 5), GgufType.F16),
            ["cube"] = (MakeNumbers(2, 3, 7), GgufType.BF16),
            ["turned"] = (MakeNumbers(64, 3).t(), GgufType.Q80),
            ["four"] = (MakeNumbers(1, 2, 3, 32), GgufType.Q40),
            ["wide"] = (MakeNumbers(2, 40000).to(ScalarType.Float64), GgufType.F32),
            ["half"] = (MakeNumbers(4).to(ScalarType.BFloat16), GgufType.BF16),
        };
        foreach ((string name, (Tensor numbers, GgufType type)) in tensors) writer.AddTensor(name, numbers, type);
        var told = new List<GgufProgress>();
        Save(writer, _folder["a.gguf"], new Told(told));
        using GgufFile file = GgufFile.Open(_folder["a.gguf"]);
        Assert.Equal(3, file.Version);
        Assert.Equal(alignment, file.Alignment);
        if (alignment != 32) values["general.alignment"] = (uint)alignment;
        Assert.Equal(values.OrderBy(pair => pair.Key), file.Metadata.OrderBy(pair => pair.Key));
        Assert.Equal(tensors.Select(pair => $"{pair.Key} {pair.Value.Type.ToFileName()} [{string.Join(", ", pair.Value.Values.shape)}]"), file.Entries.Select(entry => entry.ToString()));
        Assert.Equal(new GgufProgress("half", 7, 7, file.Entries.Sum(entry => entry.ByteCount), file.Entries.Sum(entry => entry.ByteCount)), told[^1]);
        foreach ((string name, (Tensor numbers, GgufType type)) in tensors)
        {
            Tensor found = file.ReadTensor(name), expected = numbers.to(ScalarType.Float32);
            Assert.Equal(numbers.shape, found.shape);
            Tensor rounded = type switch
            {
                GgufType.F16 => expected.to(ScalarType.Float16).to(ScalarType.Float32),
                GgufType.BF16 => expected.to(ScalarType.BFloat16).to(ScalarType.Float32),
                _ => expected,
            };
            double step = type switch { GgufType.Q80 => 0.5 / 127 + 1.0 / 2048, GgufType.Q40 => 1.0 / 8 + 1.0 / 2048, _ => 0 };
            Assert.InRange(found.sub(rounded).abs().max().item<float>(), 0, step);
        }
    }

    [Fact]
    public void Files_without_tensors_or_their_last_padding_are_read()
    {
        Save(new GgufWriter(), _folder["none.gguf"]);
        using (GgufFile none = GgufFile.Open(_folder["none.gguf"]))
        {
            Assert.Empty(none.Entries);
            Assert.Empty(none.Metadata);
        }
        File.WriteAllBytes(_folder["bare.gguf"], new GgufBytes(tensors: 1, version: 2).Tensor("t", 0, 0, 1, 1).Pad().Raw(0, 0, 0x80, 0x3F).ToArray());
        using GgufFile bare = GgufFile.Open(_folder["bare.gguf"]);
        Assert.Equal(2, bare.Version);
        Assert.Equal(1f, bare.ReadTensor("t").item<float>());
    }

    [Fact]
    public void Misuse_is_told()
    {
        var writer = new GgufWriter();
        writer.Add("a", 1u);
        writer.AddTensor("t", MakeNumbers(2, 33));
        Assert.StartsWith("The key 'a' is there already.", Assert.Throws<ArgumentException>(() => writer.Add("a", 2u)).Message, StringComparison.Ordinal);
        Assert.StartsWith("'b' is a Decimal; a value may be one of byte, sbyte, ushort, short, uint, int, ulong, long, float, double, bool, string, and arrays of them.", Assert.Throws<ArgumentException>(() => writer.Add("b", 1m)).Message, StringComparison.Ordinal);
        Assert.StartsWith("'b' is a Byte[][];", Assert.Throws<ArgumentException>(() => writer.Add("b", new byte[][] { [1] })).Message, StringComparison.Ordinal);
        Assert.StartsWith("The tensor 't' is there already.", Assert.Throws<ArgumentException>(() => writer.AddTensor("t", MakeNumbers(2))).Message, StringComparison.Ordinal);
        Assert.StartsWith("Tensor 'u' cannot be written as Q8_0, whose rows hold a multiple of 32 numbers: its rows hold 33.", Assert.Throws<ArgumentException>(() => writer.AddTensor("u", MakeNumbers(2, 33), GgufType.Q80)).Message, StringComparison.Ordinal);
        Assert.StartsWith("Tensor 'u' cannot be written as Q6_K; F32, F16, BF16, Q8_0 and Q4_0 are supported.", Assert.Throws<ArgumentException>(() => writer.AddTensor("u", MakeNumbers(256), GgufType.Q6K)).Message, StringComparison.Ordinal);
        Assert.StartsWith("Tensor 'u' is Int64, but a floating-point type is needed.", Assert.Throws<ArgumentException>(() => writer.AddTensor("u", zeros(3, dtype: ScalarType.Int64))).Message, StringComparison.Ordinal);
        Assert.StartsWith("Tensor 'u' has the shape []; 1 to 4 dimensions of at least 1 are allowed.", Assert.Throws<ArgumentException>(() => writer.AddTensor("u", tensor(1f))).Message, StringComparison.Ordinal);
        Assert.StartsWith($"The name '{new string('n', 64)}' has 64 bytes; 63 are allowed.", Assert.Throws<ArgumentException>(() => writer.AddTensor(new string('n', 64), MakeNumbers(2))).Message, StringComparison.Ordinal);
        Assert.StartsWith("The alignment must be a power of two and at least 8.", Assert.Throws<ArgumentOutOfRangeException>(() => new GgufWriter(24)).Message, StringComparison.Ordinal);
        Save(writer, _folder["a.gguf"]);
        GgufFile file = GgufFile.Open(_folder["a.gguf"]);
        Assert.Equal($"{_folder["a.gguf"]} holds no tensor 'x'.", Assert.Throws<KeyNotFoundException>(() => file.ReadTensor("x")).Message);
        Assert.Throws<ArgumentOutOfRangeException>(() => file.GetBytes("t", 4, 2 * 33 * 4).Length);
        file.Dispose();
        file.Dispose();
        Assert.Throws<ObjectDisposedException>(() => file.GetBytes("t", 0, 1).Length);
    }

    [Fact]
    public void Numbers_of_other_types_are_not_read()
    {
        File.WriteAllBytes(_folder["k.gguf"], new GgufBytes(tensors: 1).Tensor("t", 14, 0, 256).Pad().Raw(new byte[210]).Pad().ToArray());
        using GgufFile file = GgufFile.Open(_folder["k.gguf"]);
        Assert.Equal("t Q6_K [256]", file.Entries[0].ToString());
        Assert.Equal($"Tensor 't' of {_folder["k.gguf"]} is Q6_K; numbers can be read of F32, F16, BF16, Q8_0 and Q4_0.", Assert.Throws<NotSupportedException>(() => file.ReadTensor("t")).Message);
    }

    [Theory]
    [InlineData(float.NaN, GgufType.F32)]
    [InlineData(float.PositiveInfinity, GgufType.BF16)]
    [InlineData(3.4e38f, GgufType.BF16)]
    [InlineData(65520f, GgufType.F16)]
    [InlineData(float.NaN, GgufType.Q80)]
    [InlineData(9e6f, GgufType.Q80)]
    [InlineData(float.NegativeInfinity, GgufType.Q40)]
    public void A_write_that_fails_leaves_the_old_file(float number, GgufType type)
    {
        File.WriteAllText(_folder["a.gguf"], "as it was");
        var writer = new GgufWriter();
        Tensor numbers = ones(2, 32);
        numbers[1, 7] = tensor(number);
        writer.AddTensor("first", ones(3));
        writer.AddTensor("bad", numbers, type);
        Assert.Equal($"Tensor 'bad' cannot be written as {type.ToFileName()}: it holds an infinity, a NaN, or a number that is too large for that type.", Assert.Throws<InvalidOperationException>(() => Save(writer, _folder["a.gguf"])).Message);
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        Assert.Throws<OperationCanceledException>(() => writer.Save(_folder["a.gguf"], cancellationToken: cancelled.Token));
        Assert.Equal("as it was", File.ReadAllText(_folder["a.gguf"]));
        Assert.Single(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public void A_folder_that_is_missing_is_told()
    {
        Assert.Throws<IOException>(() => Save(new GgufWriter(), Path.Combine(_folder["missing"], "a.gguf")));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    private static Tensor MakeNumbers(params long[] shape) => MergeFiles.Numbers(5, shape).mul(2).to(ScalarType.Float32);

    private static void Save(GgufWriter writer, string path, IProgress<GgufProgress>? progress = null) => writer.Save(path, progress, TestContext.Current.CancellationToken);

    private static int Try(byte[] bytes, string path)
    {
        File.WriteAllBytes(path, bytes);
        long before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            using GgufFile file = GgufFile.Open(path);
            return 0;
        }
        catch (AdapterFormatException exception)
        {
            Assert.StartsWith("byte ", Assert.Single(exception.Problems), StringComparison.Ordinal);
            return 1;
        }
        finally
        {
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 200_000);
        }
    }

    private sealed class Told(List<GgufProgress> told) : IProgress<GgufProgress>
    {
        public void Report(GgufProgress value) => told.Add(value);
    }
}
