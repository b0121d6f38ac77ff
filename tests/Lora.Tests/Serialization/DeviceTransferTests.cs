using System.Text;
using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Serialization;

/// <summary>Tensors that are filled through a buffer have the bits of those that are filled one by one. Without LORA_TEST_DEVICE the "device" is the CPU.</summary>
public sealed class DeviceTransferTests : IDisposable
{
    // An empty one and a single number are among them, and no two are of one size.
    private static readonly long[][] _shapes = [[3, 5], [], [0, 4], [7], [2, 1, 3], [1, 9]];
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public void Dispose()
    {
        _folder.Dispose();
        _scope.Dispose();
    }

    public static TheoryData<ScalarType> Types => [.. Enum.GetValues<SafetensorsType>().Select(type => type.ToScalarType()).OfType<ScalarType>()];

    public static MatrixTheoryData<ScalarType, ScalarType> Conversions => new(_floats, _floats);

    private static readonly ScalarType[] _floats = [ScalarType.Float16, ScalarType.BFloat16, ScalarType.Float32, ScalarType.Float64];

    [Fact]
    public void Only_cuda_is_reached_through_a_buffer()
    {
        Assert.True(DeviceTransfer.Usual.IsStaged(new Device(DeviceType.CUDA, 1)));
        Assert.All([DeviceType.CPU, DeviceType.META, DeviceType.MPS], type => Assert.False(DeviceTransfer.Usual.IsStaged(new Device(type))));
        Assert.Equal(32 << 20, DeviceTransfer.Usual.BufferBytes);
        Assert.Same(DeviceTransfer.Usual, new LoadOptions().Transfer);
        Assert.Equal(new LoadOptions(), new LoadOptions { Transfer = new DirectTransfer() });
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Every_type_and_shape_takes_one_copy(ScalarType type)
    {
        using SafetensorsFile file = Write("x", [.. _shapes.Select((shape, i) => ($"{i}", Numbers(shape, i).to(type)))]);
        var transfer = new CountedTransfer();
        Tensor[] filled = Fill(transfer, file, type);
        Assert.Equal([file.Entries.Sum(entry => entry.ByteCount)], transfer.Copies);
        foreach ((SafetensorsEntry entry, Tensor target) in file.Entries.Zip(filled)) Assert.Equal(file.GetBytes(entry.Name).ToArray(), Adapted.Bits(target));
    }

    [Theory]
    [MemberData(nameof(Conversions))]
    public void Types_are_converted_to_the_same_bits(ScalarType stored, ScalarType wanted)
    {
        using SafetensorsFile file = Write("x", [.. _shapes.Select((shape, i) => ($"{i}", Numbers(shape, i).to(stored)))]);
        var transfer = new CountedTransfer();
        Tensor[] filled = Fill(transfer, file, wanted);
        Assert.Single(transfer.Copies);
        foreach ((Tensor expected, Tensor actual) in Fill(new DirectTransfer(), file, wanted).Zip(filled)) Adapted.AssertSame(expected, actual);
        Assert.Contains(filled, tensor => tensor.count_nonzero().item<long>() > 1);
    }

    [Fact]
    public void Each_type_has_a_copy_wherever_its_numbers_lie_in_the_file()
    {
        // Behind three half-precision numbers nothing begins at a multiple of its size.
        byte[] header = Encoding.ASCII.GetBytes(
            """{"a":{"dtype":"F16","shape":[3],"data_offsets":[0,6]},"b":{"dtype":"F32","shape":[2,3],"data_offsets":[6,30]},"c":{"dtype":"F64","shape":[1],"data_offsets":[30,38]},"d":{"dtype":"BOOL","shape":[1],"data_offsets":[38,39]},"e":{"dtype":"F32","shape":[2],"data_offsets":[39,47]}}""");
        Half[] a = [(Half)1.5, (Half)(-2), (Half)0.25];
        byte[] data = [.. a.SelectMany(BitConverter.GetBytes), .. new[] { 1f, -2, 3, 4, 5, 6.5f }.SelectMany(BitConverter.GetBytes), .. BitConverter.GetBytes(-0.1), 1, .. new[] { 7f, -8 }.SelectMany(BitConverter.GetBytes)];
        File.WriteAllBytes(_folder["x"], [.. BitConverter.GetBytes((long)header.Length), .. header, .. data]);
        using SafetensorsFile file = SafetensorsFile.Open(_folder["x"]);
        foreach (int pad in new[] { 0, 1, 3 })
        {
            var transfer = new CountedTransfer { BufferBytes = 64 + pad };
            Tensor[] filled = Fill(transfer, file, ScalarType.Float64);
            Assert.Equal([6, 32, 8, 1], transfer.Copies);
            Assert.Equal([1.5, -2, 0.25, 1, -2, 3, 4, 5, 6.5, -0.1, 1, 7, -8], filled.SelectMany(tensor => tensor.cpu().data<double>().ToArray()));
        }
    }

    [Theory]
    [InlineData(1 << 20, 84)]
    [InlineData(84, 84)]
    [InlineData(83, 48, 36)]
    [InlineData(48, 48, 36)]
    [InlineData(47, 32, 16, 36)]
    [InlineData(36, 32, 16, 36)]
    [InlineData(35, 32, 16)]
    [InlineData(21, 20, 12, 16)]
    [InlineData(16, 12, 16)]
    [InlineData(15, 12)]
    [InlineData(11)]
    [InlineData(3)]
    public void A_buffer_that_is_too_small_is_filled_again_and_a_tensor_that_is_larger_goes_alone(int bufferBytes, params int[] copies)
    {
        // 20, 12, 16 and 36 bytes.
        using SafetensorsFile file = Write("x", [("0", Numbers([5], 1)), ("1", Numbers([3], 2)), ("2", Numbers([2, 2], 3)), ("3", Numbers([3, 3], 4))]);
        var transfer = new CountedTransfer { BufferBytes = bufferBytes };
        Tensor[] filled = Fill(transfer, file, ScalarType.Float32);
        Assert.Equal(copies.Select(bytes => (long)bytes), transfer.Copies);
        foreach ((SafetensorsEntry entry, Tensor target) in file.Entries.Zip(filled)) Assert.Equal(file.GetBytes(entry.Name).ToArray(), Adapted.Bits(target));
    }

    [Fact]
    public void Targets_of_any_strides_are_filled()
    {
        using SafetensorsFile file = Write("x", [("0", Numbers([2, 3], 1)), ("1", Numbers([4, 2], 2)), ("2", Numbers([3], 3))]);
        Tensor rows = zeros([5, 3], device: TestDevice.Current);
        Tensor[] targets = [rows.narrow(0, 1, 2), zeros([2, 4], device: TestDevice.Current).t(), zeros([3, 2], device: TestDevice.Current).select(1, 1)];
        var transfer = new CountedTransfer();
        transfer.Fill([.. Stored(file).Zip(targets)]);
        Assert.Single(transfer.Copies);
        foreach ((SafetensorsEntry entry, Tensor target) in file.Entries.Zip(targets)) Assert.Equal(file.GetBytes(entry.Name).ToArray(), Adapted.Bits(target));
        Assert.Equal(6, rows.count_nonzero().item<long>());
    }

    [Fact]
    public void Several_files_take_one_copy()
    {
        Write("1", [("a", Numbers([3, 5], 1)), ("b", Numbers([7], 2))]).Dispose();
        Write("2", [("c", Numbers([2, 3], 3))]).Dispose();
        File.WriteAllText(_folder["index.json"], """{"weight_map":{"c":"2","a":"1","b":"1"}}""");
        using SafetensorsSource source = SafetensorsSource.Open(_folder["index.json"]);
        var transfer = new CountedTransfer();
        Tensor[] filled = Fill(transfer, source, ScalarType.Float32);
        Assert.Equal([4 * (15 + 7 + 6)], transfer.Copies);
        foreach ((SafetensorsEntry entry, Tensor target) in source.Entries.Zip(filled)) Assert.Equal(source.GetBytes(entry.Name).ToArray(), Adapted.Bits(target));
    }

    [Fact]
    public void Each_device_has_its_own_copy()
    {
        using SafetensorsFile file = Write("x", [("0", Numbers([2, 3], 1)), ("1", Numbers([4], 2)), ("2", Numbers([3], 3))]);
        Tensor[] targets = [zeros([2, 3], device: TestDevice.Current), empty([4], ScalarType.BFloat16, new Device(DeviceType.META)), zeros([3], device: TestDevice.Current)];
        var transfer = new CountedTransfer();
        transfer.Fill([.. Stored(file).Zip(targets)]);
        Assert.Equal([36, 16], transfer.Copies);
        Assert.Equal(file.GetBytes("0").ToArray(), Adapted.Bits(targets[0]));
        Assert.Equal((DeviceType.META, ScalarType.BFloat16), (targets[1].device_type, targets[1].dtype));
        Assert.Equal(file.GetBytes("2").ToArray(), Adapted.Bits(targets[2]));
    }

    [Fact]
    public void What_is_scaled_or_turned_is_so_on_the_device()
    {
        using SafetensorsFile file = Write("x", [("0", Numbers([2, 3], 1).to(ScalarType.BFloat16)), ("1", Numbers([4], 2).to(ScalarType.BFloat16))]);
        Tensor[] Filled(DeviceTransfer transfer)
        {
            AdapterTensor[] stored =
            [
                new(file, file.Entries.First(), "0") { Shape = [3, 2], Convert = tensor => tensor.t(), Factor = 1.7 },
                new(file, file.Entries.Last(), "1") { Factor = -0.3 },
            ];
            Tensor[] targets = [zeros([3, 2], device: TestDevice.Current), zeros([4], ScalarType.BFloat16, TestDevice.Current)];
            transfer.Fill([.. stored.Zip(targets)]);
            return targets;
        }
        var counted = new CountedTransfer();
        foreach ((Tensor expected, Tensor actual) in Filled(new DirectTransfer()).Zip(Filled(counted))) Adapted.AssertSame(expected, actual);
        Assert.Equal([20], counted.Copies);
    }

    [Fact]
    public void A_type_that_torch_lacks_is_refused_in_the_same_words()
    {
        byte[] header = Encoding.ASCII.GetBytes("""{"x":{"dtype":"U16","shape":[1],"data_offsets":[0,2]}}""");
        File.WriteAllBytes(_folder["x"], [.. BitConverter.GetBytes((long)header.Length), .. header, 1, 2]);
        using SafetensorsFile file = SafetensorsFile.Open(_folder["x"]);
        foreach (DeviceTransfer transfer in new DeviceTransfer[] { new CountedTransfer(), new DirectTransfer() })
        {
            Assert.Equal(
                $"{_folder["x"]}: tensor 'x' is of type U16, which torch does not have here; its bytes can be read with GetBytes.",
                Assert.Throws<AdapterFormatException>(() => Fill(transfer, file, ScalarType.Float32)).Message);
        }
    }

    private SafetensorsFile Write(string name, (string Name, Tensor Tensor)[] tensors)
    {
        SafetensorsWriter.Save(_folder[name], tensors.Select(tensor => KeyValuePair.Create(tensor.Name, tensor.Tensor)));
        return SafetensorsFile.Open(_folder[name]);
    }

    private static IEnumerable<AdapterTensor> Stored(SafetensorsSource source) => source.Entries.Select(entry => new AdapterTensor(source, entry, entry.Name));

    private static Tensor[] Fill(DeviceTransfer transfer, SafetensorsSource source, ScalarType type)
    {
        Tensor[] targets = [.. source.Entries.Select(entry => zeros([.. entry.Shape], type, TestDevice.Current))];
        transfer.Fill([.. Stored(source).Zip(targets)]);
        return targets;
    }

    // Of many sizes, so that conversions round, vanish and overflow.
    private static Tensor Numbers(long[] shape, int seed)
    {
        Tensor small = Noise.Fill(empty(shape), seed, 12), size = Noise.Fill(empty(shape), seed + 100, 12);
        return small.mul(size.exp2().mul(size.exp2()));
    }
}
