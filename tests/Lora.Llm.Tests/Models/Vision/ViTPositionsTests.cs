using Lora.Tests;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models.Vision;

/// <summary>The learned positions of a ViT, resized to images of another size.</summary>
public sealed class ViTPositionsTests
{
    [Theory]
    [InlineData(20, 12)]
    [InlineData(8, 28)]
    [InlineData(4, 4)]
    [InlineData(13, 15)]
    public void Positions_are_resized_bicubically(int height, int width)
    {
        using ViTModel model = TinyVision.MakeViT();
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        model.InterpolatesPositions = true;
        (int rows, int columns) = (height / 4, width / 4);

        // A model made for this very size, whose positions are the resized ones, says the same.
        double[] table = TinyLlama.Values(model.state_dict()["vit.embeddings.position_embeddings"]);
        double[] resized = new double[(1 + (rows * columns)) * 12];
        Array.Copy(table, resized, 12);
        for (int row = 0; row < rows; row++)
            for (int column = 0; column < columns; column++)
                for (int i = 0; i < 12; i++)
                    resized[((1 + (row * columns) + column) * 12) + i] = Bicubic((y, x) => table[((1 + (y * 3) + x) * 12) + i], (row + 0.5) * 3 / rows - 0.5, (column + 0.5) * 3 / columns - 0.5);

        Tensor found = Embedded(model, height, width), plain = Embedded(model, height, width, positions: false);
        double[] difference = TinyLlama.Values(found.sub(plain));
        Assert.All(resized.Zip(difference), pair => Assert.Equal(pair.First, pair.Second, 1e-12));
        Assert.Equal([2, 3], model.call(TinyVision.Images(2, height, width)).shape);
    }

    [Fact]
    public void The_models_own_size_is_not_resized_and_too_small_ones_are_refused()
    {
        using ViTModel model = TinyVision.MakeViT();
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor images = TinyVision.Images(2, 12, 12), before = model.call(images);
        model.InterpolatesPositions = true;
        Assert.Equal(TinyLlama.Values(before), TinyLlama.Values(model.call(images)));
        Assert.Equal("The images are 3 x 12 pixels, less than one patch of 4 x 4. (Parameter 'pixels')", Assert.Throws<ArgumentException>(() => model.call(TinyVision.Images(1, 3, 12))).Message);
        Assert.Equal("Pixel values must have the shape [batch, 2, height, width], but have [12, 12]. (Parameter 'pixels')", Assert.Throws<ArgumentException>(() => model.call(zeros(12, 12))).Message);
        Assert.Equal(
            "Pixel values must be of a floating-point type, scaled and normalised as the model was trained, but are Byte. (Parameter 'pixels')",
            Assert.Throws<ArgumentException>(() => model.call(zeros([1, 2, 12, 12], dtype: ScalarType.Byte))).Message);
    }

    // The embeddings alone: what the first layer gets.
    private static Tensor Embedded(ViTModel model, int height, int width, bool positions = true)
    {
        var embeddings = (nn.Module<Tensor, Tensor>)model.named_modules().Single(module => module.name == "vit.embeddings").module;
        Tensor table = model.state_dict()["vit.embeddings.position_embeddings"], kept = table.clone();
        if (!positions) table.zero_();
        Tensor embedded = embeddings.call(TinyVision.Images(1, height, width));
        table.copy_(kept);
        return embedded;
    }

    // Keys (1981) with a = −3/4 over the sixteen neighbours, those beyond the edge being the edge's own.
    private static double Bicubic(Func<int, int, double> at, double y, double x)
    {
        int top = (int)Math.Floor(y), left = (int)Math.Floor(x);
        double sum = 0;
        for (int i = -1; i <= 2; i++)
            for (int j = -1; j <= 2; j++) sum += Kernel(y - top - i) * Kernel(x - left - j) * at(Math.Clamp(top + i, 0, 2), Math.Clamp(left + j, 0, 2));
        return sum;

        static double Kernel(double distance)
        {
            const double a = -0.75;
            double d = Math.Abs(distance);
            return d <= 1 ? ((((a + 2) * d) - (a + 3)) * d * d) + 1 : d < 2 ? ((((a * d) - (5 * a)) * d) + (8 * a)) * d - (4 * a) : 0;
        }
    }
}
