using System.Buffers.Binary;
using System.Text;
using Lora.Serialization;

namespace Lora.Tests.Serialization;

public sealed class SafetensorsFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Header_and_bytes_are_read()
    {
        using SafetensorsFile file = Open("""{"__metadata__":{"format":"pt"},"b":{"dtype":"U8","shape":[2,1],"data_offsets":[2,4]},"a":{"dtype":"F16","shape":[],"data_offsets":[0,2]}}""", 4);
        Assert.Equal(["a F16 []", "b U8 [2, 1]"], file.Entries.Select(entry => entry.ToString()));
        Assert.Equal("pt", file.Metadata["format"]);
        Assert.Equal([2, 3], file.GetBytes("b").ToArray());
        Assert.Equal([3], file.GetBytes("b", 1, 1).ToArray());
        Assert.True(file.TryGetEntry("a", out SafetensorsEntry? entry));
        Assert.Equal((SafetensorsType.F16, 0L, 2L, 2L), (entry.Type, entry.Begin, entry.End, entry.ByteCount));
    }

    [Theory]
    [InlineData("BOOL", 1)]
    [InlineData("F8_E4M3", 1)]
    [InlineData("F8_E5M2FNUZ", 1)]
    [InlineData("U16", 2)]
    [InlineData("BF16", 2)]
    [InlineData("C64", 8)]
    [InlineData("U64", 8)]
    public void Every_type_of_the_format_can_be_opened(string type, int bytes)
    {
        using SafetensorsFile file = Open($$$"""{"x":{"dtype":"{{{type}}}","shape":[2],"data_offsets":[0,{{{2 * bytes}}}]}}""", 2 * bytes);
        Assert.Equal(type, file.Entries.Single().Type.ToFileName());
    }

    [Fact]
    public void Types_of_less_than_a_byte_are_counted_in_bits()
    {
        using SafetensorsFile file = Open("""{"x":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[0,3]},"y":{"dtype":"F4","shape":[2],"data_offsets":[3,4]}}""", 4);
        Assert.Equal(2, file.Entries.Count);
    }

    [Theory]
    [InlineData("""{"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}""", 0)]
    [InlineData("""  {}  """, 0)]
    [InlineData("""{"x":{"dtype":"F64","shape":[0,4294967296,1000],"data_offsets":[0,0]}}""", 0)]
    [InlineData("""{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"more":[{}]}}""", 1)]
    public void What_the_format_allows_is_accepted(string header, int data) => Open(header, data).Dispose();

    [Theory]
    [InlineData("[]", 0, "the header is not valid JSON: it must be an object.")]
    [InlineData("""{"x":1}""", 0, "tensor 'x' must be described by an object, not by a number.")]
    [InlineData("""{"x":{}}""", 0, "has 3 problems:\n  - tensor 'x' has no dtype.\n  - tensor 'x' has no shape.\n  - tensor 'x' has no data_offsets.")]
    [InlineData("""{"x":{"dtype":"U8","shape":[2],"data_offsets":[0]}}""", 2, "tensor 'x': data_offsets must be two numbers.")]
    [InlineData("""{"x":{"dtype":"U8","shape":[-2],"data_offsets":[0,2]}}""", 2, "tensor 'x': shape must hold non-negative 64-bit integers only.")]
    [InlineData("""{"x":{"dtype":"U8","shape":[2.0],"data_offsets":[0,2]}}""", 2, "tensor 'x': shape must hold non-negative 64-bit integers only.")]
    [InlineData("""{"x":{"dtype":"U8","shape":2,"data_offsets":[0,2]}}""", 2, "tensor 'x': shape must be an array of integers.")]
    [InlineData("""{"x":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,2]}}""", 2, "tensor 'x': its shape [4294967296, 4294967296] is too large.")]
    [InlineData("""{"x":{"dtype":"U8","shape":[4294967296,0,4294967296],"data_offsets":[0,0]}}""", 0, "tensor 'x': its shape [4294967296, 0, 4294967296] is too large.")]
    [InlineData("""{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}""", 4, "tensor 'x': F32 [2] takes 8 bytes, but data_offsets [0, 4] span 4.")]
    [InlineData("""{"x":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}""", 1, "tensor 'x': F4 [3] takes 1 bytes, but data_offsets [0, 1] span 1.")]
    [InlineData("""{"x":{"dtype":"U8","shape":[2],"data_offsets":[4,2]}}""", 4, "tensor 'x': data_offsets begin at 4, behind their end 2.")]
    [InlineData("""{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"y":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}""", 3, "tensor 'y' begins at byte 1 and shares bytes with tensor 'x', which ends at 2.")]
    [InlineData("""{"x":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}""", 3, "bytes 0 to 1, before tensor 'x', belong to no tensor.")]
    [InlineData("""{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}""", 1, "the tensors need 2 bytes of data, but the file holds 1: it is cut off, or its offsets are wrong.")]
    [InlineData("""{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}""", 5, "3 bytes behind the last tensor belong to none.")]
    [InlineData("""{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}""", 1, "tensor 'x' appears twice.")]
    [InlineData("""{"x":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}""", 1, "tensor 'x' has 'dtype' twice.")]
    [InlineData("""{"__metadata__":{"a":1}}""", 0, "__metadata__ must hold strings only, but 'a' is a number.")]
    [InlineData("""{"__metadata__":{"a":"1","a":"2"}}""", 0, "__metadata__ has the key 'a' twice.")]
    public void What_the_format_forbids_is_refused(string header, int data, string problem)
    {
        string message = Assert.Throws<AdapterFormatException>(() => Open(header, data)).Message;
        Assert.Equal(_folder["x.safetensors"] + (problem.StartsWith("has", StringComparison.Ordinal) ? " " : ": ") + problem, message);
    }

    [Fact]
    public void Millions_of_offences_do_not_make_a_message_of_gigabytes()
    {
        string header = $$"""{"x":1{{string.Concat(Enumerable.Repeat(""","x":1""", 200_000))}},"{{new string('n', 500_000)}}":2}""";
        AdapterFormatException exception = Assert.Throws<AdapterFormatException>(() => Open(header, 0));
        Assert.Equal(101, exception.Problems.Count);
        Assert.Equal("199902 more problems are not listed.", exception.Problems[^1]);
        Assert.InRange(exception.Message.Length, 0, 20_000);
    }

    [Fact]
    public void A_very_long_name_is_cut_in_the_message() => Assert.Equal(
        $"tensor '{new string('n', 992)}…",
        Assert.Single(Assert.Throws<AdapterFormatException>(() => Open($$"""{"{{new string('n', 50_000)}}":2}""", 0)).Problems));

    [Fact]
    public void More_dimensions_than_torch_knows_are_refused()
    {
        static string Header(int dimensions) => $$$"""{"x":{"dtype":"U8","shape":[{{{string.Join(',', Enumerable.Repeat(1, dimensions))}}}],"data_offsets":[0,1]}}""";
        using (SafetensorsFile file = Open(Header(64), 1)) Assert.Equal(64, file.Entries.Single().Shape.Length);
        Assert.Equal(
            "tensor 'x': shape must hold no more than 64 numbers.",
            Assert.Single(Assert.Throws<AdapterFormatException>(() => Open(Header(65), 1)).Problems));
    }

    [Fact]
    public void An_unpaired_surrogate_is_no_name() => Assert.StartsWith(
        $"{_folder["x.safetensors"]}: the header is not valid JSON: the text at byte 9 of the file holds an unpaired surrogate.",
        Assert.Throws<AdapterFormatException>(() => Open("""{"\ud800":{}}""", 0)).Message, StringComparison.Ordinal);

    [Fact]
    public void An_unpaired_surrogate_is_no_field() => Assert.StartsWith(
        $"{_folder["x.safetensors"]}: the header is not valid JSON: the text at byte 14 of the file holds an unpaired surrogate.",
        Assert.Throws<AdapterFormatException>(() => Open("""{"x":{"\udc00":{}}}""", 0)).Message, StringComparison.Ordinal);

    [Fact]
    public void Escaped_names_of_fields_are_the_same_names()
    {
        using (SafetensorsFile file = Open("""{"x":{"\u0064type":"U8","sh\u0061pe":[1],"data_offsets":[0,1]}}""", 1)) Assert.Equal(1, file.Entries.Single().ByteCount);
        Assert.Equal(
            ["tensor 'x' has 'dtype' twice.", "tensor 'x' has 'more' twice."],
            Assert.Throws<AdapterFormatException>(() => Open("""{"x":{"dtype":"U8","\u0064type":"U8","shape":[1],"data_offsets":[0,1],"more":1,"m\u006fre":2}}""", 1)).Problems);
    }

    [Fact]
    public void Bytes_that_are_no_text_are_named()
    {
        File.WriteAllBytes(_folder["x.safetensors"], [4, 0, 0, 0, 0, 0, 0, 0, (byte)'{', (byte)'"', 0xC3, (byte)'"']);
        Assert.Equal($"{_folder["x.safetensors"]}: the header is not valid UTF-8 at byte 10 of the file.", Assert.Throws<AdapterFormatException>(() => SafetensorsFile.Open(_folder["x.safetensors"])).Message);
    }

    [Fact]
    public void An_unknown_type_is_refused_with_those_that_exist() => Assert.Contains(
        "tensor 'x': dtype 'f32' is unknown; the format has BOOL, F4, F6_E2M3, F6_E3M2, U8, I8, F8_E5M2, F8_E4M3, F8_E8M0, F8_E4M3FNUZ, F8_E5M2FNUZ, I16, U16, F16, BF16, I32, U32, F32, C64, F64, I64, U64.",
        Assert.Throws<AdapterFormatException>(() => Open("""{"x":{"dtype":"f32","shape":[],"data_offsets":[0,4]}}""", 4)).Problems);

    [Fact]
    public void Absent_tensors_and_ranges_beyond_one_are_refused()
    {
        using SafetensorsFile file = Open("""{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}""", 2);
        Assert.Equal($"{file.Path} holds no tensor 'y'.", Assert.Throws<KeyNotFoundException>(() => file.GetBytes("y").Length).Message);
        Assert.Throws<ArgumentOutOfRangeException>(() => file.GetBytes("x", 1, 2).Length);
        Assert.Throws<ArgumentOutOfRangeException>(() => file.GetBytes("x", -1, 1).Length);
    }

    [Fact]
    public void A_closed_file_gives_no_bytes()
    {
        SafetensorsFile file = Open("""{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}""", 2);
        file.Dispose();
        file.Dispose();
        Assert.Throws<ObjectDisposedException>(() => file.GetBytes("x").Length);
    }

    [Fact]
    public void A_missing_file_is_an_ordinary_error() => Assert.Throws<FileNotFoundException>(() => SafetensorsFile.Open(_folder["none"]));

    [Fact]
    public void A_refused_file_is_closed()
    {
        Assert.Throws<AdapterFormatException>(() => Open("[]", 0));
        using FileStream exclusive = new(_folder["x.safetensors"], FileMode.Open, FileAccess.ReadWrite, FileShare.None);
        Assert.True(exclusive.CanWrite);
    }

    [Fact]
    public void Tensors_beyond_two_gigabytes_are_reached()
    {
        // A sparse file: it takes no room on the disk.
        const long Size = 3L << 30;
        string path = _folder["large.safetensors"];
        File.WriteAllBytes(path, Build($$$"""{"x":{"dtype":"U8","shape":[{{{Size}}}],"data_offsets":[0,{{{Size}}}]},"y":{"dtype":"U8","shape":[1],"data_offsets":[{{{Size}}},{{{Size + 1}}}]}}""", 0));
        using (FileStream stream = new(path, FileMode.Open))
        {
            long end = stream.Length + Size;
            stream.SetLength(end + 1);
            stream.Position = end - 1;
            stream.Write([7, 9]);
        }

        using SafetensorsFile file = SafetensorsFile.Open(path);
        Assert.Equal([7], file.GetBytes("x", Size - 1, 1).ToArray());
        Assert.Equal([9], file.GetBytes("y").ToArray());
        Assert.Equal($"Tensor 'x' has {Size} bytes, more than one span can hold: read it in parts.", Assert.Throws<InvalidOperationException>(() => file.GetBytes("x").Length).Message);
    }

    private static byte[] Build(string header, int data)
    {
        byte[] json = Encoding.UTF8.GetBytes(header);
        byte[] file = new byte[8 + json.Length + data];
        BinaryPrimitives.WriteInt64LittleEndian(file, json.Length);
        json.CopyTo(file, 8);
        for (int i = 0; i < data; i++)
        {
            file[8 + json.Length + i] = (byte)i;
        }

        return file;
    }

    private SafetensorsFile Open(string header, int data)
    {
        File.WriteAllBytes(_folder["x.safetensors"], Build(header, data));
        return SafetensorsFile.Open(_folder["x.safetensors"]);
    }
}
