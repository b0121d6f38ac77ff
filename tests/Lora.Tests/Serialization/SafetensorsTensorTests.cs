using Lora.Serialization;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Serialization;

public sealed class SafetensorsTensorTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    private static Device Device => TestDevice.Current;

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    [InlineData(ScalarType.Float16)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Int64)]
    [InlineData(ScalarType.Int32)]
    [InlineData(ScalarType.Int16)]
    [InlineData(ScalarType.Int8)]
    [InlineData(ScalarType.Byte)]
    [InlineData(ScalarType.Bool)]
    public void A_tensor_comes_back(ScalarType type)
    {
        Tensor written = arange(6, dtype: ScalarType.Float32).reshape(2, 3).to(type).to(Device);
        SafetensorsWriter.Save(_folder["x"], [new("x", written)]);
        using SafetensorsFile file = SafetensorsFile.Open(_folder["x"]);
        Tensor read = file.ReadTensor("x", Device);
        Assert.Equal((type, Device.type), (read.dtype, read.device.type));
        Assert.Equal([2, 3], read.shape);
        Assert.Equal(Numbers(written), Numbers(read));
    }

    [Fact]
    public void A_complex_tensor_comes_back()
    {
        Tensor written = ones([2, 3], ScalarType.ComplexFloat32).mul(2.5).to(Device);
        SafetensorsWriter.Save(_folder["x"], [new("x", written)]);
        using SafetensorsFile file = SafetensorsFile.Open(_folder["x"]);
        Tensor read = file.ReadTensor("x");
        Assert.Equal((ScalarType.ComplexFloat32, "x C64 [2, 3]"), (read.dtype, file.Entries.Single().ToString()));
        Assert.Equal(written.cpu().bytes.ToArray(), read.bytes.ToArray());
    }

    [Fact]
    public void Views_parameters_scalars_and_empty_tensors_are_written()
    {
        Tensor matrix = arange(6, dtype: ScalarType.Float32).reshape(2, 3).to(Device);
        var parameter = new TorchSharp.Modules.Parameter(matrix.clone());
        SafetensorsWriter.Save(
            _folder["x"],
            [new("transposed", matrix.transpose(0, 1)), new("row", matrix.narrow(0, 1, 1)), new("number", tensor(7f).to(Device)), new("none", zeros([0, 2]).to(Device)), new("parameter", parameter)]);
        using SafetensorsFile file = SafetensorsFile.Open(_folder["x"]);
        Assert.Equal([0f, 3, 1, 4, 2, 5], Numbers(file.ReadTensor("transposed")));
        Assert.Equal([3f, 4, 5], Numbers(file.ReadTensor("row")));
        Assert.Equal([7f], Numbers(file.ReadTensor("number")));
        Assert.Equal([0, 2], file.ReadTensor("none").shape);
        Assert.Equal(Numbers(matrix), Numbers(file.ReadTensor("parameter")));
        Assert.Equal(["none", "number", "parameter", "row", "transposed"], file.Entries.Select(entry => entry.Name));
    }

    [Theory]
    [InlineData(1 << 20)]
    [InlineData(8)]
    public void A_tensor_is_copied_into_any_other_of_its_shape(int pieceBytes)
    {
        SafetensorsWriter.Save(_folder["x"], [new("x", arange(6, dtype: ScalarType.Float32).reshape(2, 3))]);
        using SafetensorsFile file = SafetensorsFile.Open(_folder["x"]);
        var parameter = new TorchSharp.Modules.Parameter(zeros([2, 3]).to(Device));
        foreach (Tensor destination in (Tensor[])[zeros([2, 3]).to(Device), zeros([3, 2]).to(Device).transpose(0, 1), zeros([2, 3], ScalarType.Float64).to(Device), zeros([4, 3]).to(Device).narrow(0, 1, 2), parameter])
        {
            SafetensorsTensorReader.CopyTo(file, file.Entries.Single(), destination, pieceBytes);
            Assert.Equal([0f, 1, 2, 3, 4, 5], Numbers(destination));
        }

        Assert.True(parameter.requires_grad);
    }

    [Fact]
    public void A_destination_of_another_shape_is_refused()
    {
        SafetensorsWriter.Save(_folder["x"], [new("x", zeros([1]))]);
        using SafetensorsFile file = SafetensorsFile.Open(_folder["x"]);
        Assert.Equal(
            $"Tensor 'x' of {_folder["x"]} has shape [1], the destination has [2, 2]. (Parameter 'destination')",
            Assert.Throws<ArgumentException>(() => file.CopyTo("x", zeros([2, 2]))).Message);
    }

    [Fact]
    public void A_type_that_torch_lacks_is_refused_when_it_is_read()
    {
        byte[] header = System.Text.Encoding.ASCII.GetBytes("""{"x":{"dtype":"U16","shape":[1],"data_offsets":[0,2]}}""");
        File.WriteAllBytes(_folder["x"], [(byte)header.Length, 0, 0, 0, 0, 0, 0, 0, .. header, 1, 2]);
        using SafetensorsFile file = SafetensorsFile.Open(_folder["x"]);
        Assert.Equal(
            $"{_folder["x"]}: tensor 'x' is of type U16, which torch does not have here; its bytes can be read with GetBytes.",
            Assert.Throws<AdapterFormatException>(() => file.ReadTensor("x")).Message);
        Assert.Equal([1, 2], file.GetBytes("x").ToArray());
    }

    [Fact]
    public void Order_escapes_and_padding_are_the_reference_implementations()
    {
        using var stream = new MemoryStream();
        SafetensorsWriter.Write(stream, [new("b", zeros([1])), new("a\"\u00e9\n", zeros([1])), new("i", zeros([1], ScalarType.Int64)), new("h", zeros([2], ScalarType.Float16)), new("d", zeros([1], ScalarType.Float64))]);
        string text = System.Text.Encoding.UTF8.GetString(stream.ToArray().AsSpan(8, BitConverter.ToInt32(stream.ToArray())));
        Assert.Equal(
            """{"__metadata__":{"format":"pt"},"i":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},"d":{"dtype":"F64","shape":[1],"data_offsets":[8,16]},"a\"é\n":{"dtype":"F32","shape":[1],"data_offsets":[16,20]},"b":{"dtype":"F32","shape":[1],"data_offsets":[20,24]},"h":{"dtype":"F16","shape":[2],"data_offsets":[24,28]}}""",
            text.TrimEnd(' '));
        Assert.Equal(0, System.Text.Encoding.UTF8.GetByteCount(text) % 8);
    }

    [Fact]
    public void Without_tensors_and_remarks_a_file_is_still_one()
    {
        SafetensorsWriter.Save(_folder["x"], [], new Dictionary<string, string>());
        Assert.Equal("{}      ", File.ReadAllText(_folder["x"])[8..]);
        SafetensorsFile.Open(_folder["x"]).Dispose();
    }

    [Fact]
    public void Names_that_cannot_be_written_are_all_refused() => Assert.Equal(
        "These tensors cannot be written: '__metadata__' is reserved. 'c' is of type ComplexFloat64, which the format lacks. 'x' is given 2 times. (Parameter 'tensors')",
        Assert.Throws<ArgumentException>(() => SafetensorsWriter.Save(_folder["x"], [new("x", zeros([1])), new("x", zeros([1])), new("__metadata__", zeros([1])), new("c", zeros([1], ScalarType.ComplexFloat64))])).Message);

    [Fact]
    public void An_open_file_may_be_replaced_by_its_own_tensors()
    {
        SafetensorsWriter.Save(_folder["x"], [new("x", ones([3]))]);
        using SafetensorsFile file = SafetensorsFile.Open(_folder["x"]);
        SafetensorsWriter.Save(_folder["x"], [new("x", file.ReadTensor("x") * 2)]);
        Assert.Equal([1f, 1, 1], Numbers(file.ReadTensor("x")));
        using SafetensorsFile replaced = SafetensorsFile.Open(_folder["x"]);
        Assert.Equal([2f, 2, 2], Numbers(replaced.ReadTensor("x")));
    }

    [Fact]
    public void Reading_and_writing_leave_no_tensor_behind()
    {
        Tensor x = ones([2, 3]);
        SafetensorsWriter.Save(_folder["x"], [new("x", x.transpose(0, 1))]);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        for (int i = 0; i < 3; i++)
        {
            SafetensorsWriter.Save(_folder["y"], [new("x", x)]);
            using SafetensorsFile file = SafetensorsFile.Open(_folder["y"]);
            file.CopyTo("x", x);
            file.ReadTensor("x").Dispose();
        }

        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    private static float[] Numbers(Tensor tensor) => tensor.detach().cpu().to(ScalarType.Float32).contiguous().data<float>().ToArray();
}
