using Lora.Llm.Generation;
using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models.Generation;

public sealed class TokenPickerTests
{
    // Probabilities 0.05, 0.4, 0.15, 0.3, 0.1.
    private static readonly double[] Probabilities = [0.05, 0.4, 0.15, 0.3, 0.1];

    [Theory]
    [InlineData(0, 1.0, new long[] { 0, 1, 2, 3, 4 })]
    [InlineData(1, 1.0, new long[] { 1 })]
    [InlineData(3, 1.0, new long[] { 1, 2, 3 })]
    [InlineData(9, 1.0, new long[] { 0, 1, 2, 3, 4 })]
    [InlineData(0, 0.01, new long[] { 1 })]
    [InlineData(0, 1e-300, new long[] { 1 })] // 0 in float32
    [InlineData(0, 0.5, new long[] { 1, 3 })]
    [InlineData(0, 0.69, new long[] { 1, 3 })]
    [InlineData(0, 0.71, new long[] { 1, 2, 3 })]
    [InlineData(0, 0.93, new long[] { 1, 2, 3, 4 })]
    [InlineData(2, 0.56, new long[] { 1 })] // of the two that are left, the first has 0.57
    public void Draws_stay_within_the_most_probable_tokens_and_reach_all_of_them(int topK, double topP, long[] wanted)
    {
        using var picker = new TokenPicker(new GenerationOptions { Temperature = 1, TopK = topK, TopP = topP, Seed = 3 });
        using Tensor logits = Logits(400);
        Assert.Equal(wanted, picker.Pick(logits).Distinct().Order());
    }

    [Theory]
    [InlineData(1.0)]
    [InlineData(0.5)]
    public void Draws_follow_the_probabilities_at_a_temperature(double temperature)
    {
        using var picker = new TokenPicker(new GenerationOptions { Temperature = temperature, Seed = 3 });
        using Tensor logits = Logits(20000);
        long[] drawn = picker.Pick(logits);
        double[] powers = [.. Probabilities.Select(p => Math.Pow(p, 1 / temperature))];
        for (int i = 0; i < 5; i++) Assert.Equal(powers[i] / powers.Sum(), drawn.Count(d => d == i) / 20000.0, 0.015);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1e-40)] // would overflow float32 when divided by
    public void No_temperature_takes_the_most_probable(double temperature)
    {
        using var picker = new TokenPicker(new GenerationOptions { Temperature = temperature, Seed = 3 });
        using Tensor logits = Logits(50);
        Assert.All(picker.Pick(logits), id => Assert.Equal(1, id));
    }

    [Theory]
    [InlineData(0, double.NaN, ScalarType.Float32, "")]
    [InlineData(0.7, double.NaN, ScalarType.Float32, "")]
    [InlineData(0, double.PositiveInfinity, ScalarType.Float16, ", or load the model in BFloat16 or Float32, since Float16 ends at 65504")]
    [InlineData(0.7, double.PositiveInfinity, ScalarType.BFloat16, "")]
    public void Logits_that_are_no_numbers_choose_no_token(double temperature, double number, ScalarType type, string more)
    {
        using var scope = NewDisposeScope();
        using var picker = new TokenPicker(new GenerationOptions { Temperature = temperature, Seed = 3 });
        Tensor logits = Logits(3).to(type, copy: true);
        logits[1, 4] = tensor(number, dtype: type, device: TestDevice.Current);
        var error = Assert.Throws<InvalidOperationException>(() => picker.Pick(logits));
        Assert.Equal($"The logits of row 1 hold a NaN or an infinity, so that no token can be chosen: look for such numbers in the weights and in the adapters{more}.", error.Message);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(0.7)]
    public void Tokens_that_are_ruled_out_are_not_chosen(double temperature)
    {
        using var scope = NewDisposeScope();
        using var picker = new TokenPicker(new GenerationOptions { Temperature = temperature, Seed = 3 });
        Tensor logits = Logits(50).clone();
        for (int i = 0; i < 4; i++) logits[TensorIndex.Colon, i] = tensor(double.NegativeInfinity, device: TestDevice.Current);
        Assert.All(picker.Pick(logits), id => Assert.Equal(4, id));
    }

    private static Tensor Logits(int rows)
    {
        using var scope = NewDisposeScope();
        return tensor(Probabilities).log().add(3).expand(rows, 5).to(TestDevice.Current).MoveToOuterDisposeScope();
    }
}
