using Lora.Serialization;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Serialization;

public sealed class FiniteNumbersTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<ScalarType> Types => [ScalarType.Float16, ScalarType.BFloat16, ScalarType.Float32, ScalarType.Float64];

    public void Dispose()
    {
        _folder.Dispose();
        _scope.Dispose();
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void One_number_that_is_not_finite_is_found(ScalarType type)
    {
        foreach (double number in new[] { double.NaN, double.PositiveInfinity, double.NegativeInfinity }) Assert.False(AreFinite(type, number));
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Large_small_and_negative_numbers_are_finite(ScalarType type)
    {
        foreach (double number in new[] { 0, -0.0, 65504, -65504, 6e-8, 1 }) Assert.True(AreFinite(type, number));
    }

    // Behind more numbers than are looked at in one go.
    private bool AreFinite(ScalarType type, double number)
    {
        Tensor numbers = zeros([600_001], ScalarType.Float64);
        numbers[600_000] = number;
        SafetensorsWriter.Save(_folder["x"], [new("x", numbers.to(type))]);
        using SafetensorsFile file = SafetensorsFile.Open(_folder["x"]);
        return FiniteNumbers.Are(file, file.Entries.Single());
    }
}
