using Lora.Llm.Blocks;
using Lora.Tests;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models;

/// <summary>What a layer lists is what it computes with: TorchSharp has factories for which that does not hold.</summary>
public class UnfilledLayersTests
{
    [Fact]
    public void An_embedding_computes_with_the_weight_that_it_lists()
    {
        Embedding embedding;
        using (NewDisposeScope()) embedding = UnfilledLayers.Embedding(5, 4, paddingIndex: null, ScalarType.Float32, TestDevice.Current);
        using (no_grad())
        using (NewDisposeScope())
        {
            (string name, Parameter parameter) = Assert.Single(embedding.named_parameters());
            Assert.Equal("weight", name);
            Assert.True(parameter.requires_grad);
            Assert.Equal([5, 4], parameter.shape);
            parameter.fill_(3);
            Assert.Equal(60, embedding.weight!.sum().item<float>());
            Assert.Equal(24, embedding.call(tensor(new long[] { 0, 4 }, device: TestDevice.Current)).sum().item<float>());
            embedding.to(ScalarType.Float64);
            Assert.Equal(ScalarType.Float64, embedding.call(tensor(new long[] { 4 }, device: TestDevice.Current)).dtype);
            Assert.Equal(60, Assert.Single(embedding.state_dict()).Value.sum().item<double>());
        }
        embedding.Dispose();
    }

    [Theory]
    [InlineData(3)]
    [InlineData(-2)]
    public void The_row_of_the_padding_token_gets_no_gradient(int paddingIndex)
    {
        using var scope = NewDisposeScope();
        Embedding embedding = UnfilledLayers.Embedding(5, 4, paddingIndex, ScalarType.Float32, TestDevice.Current);
        using (no_grad()) embedding.weight!.fill_(2);
        embedding.call(tensor(new long[] { 3, 1, 3, 4 }, device: TestDevice.Current)).square().sum().backward();
        Assert.Equal([0, 16, 0, 0, 16], Assert.Single(embedding.named_parameters()).parameter.grad!.sum([1]).cpu().data<float>().ToArray());
        embedding.Dispose();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_linear_layer_computes_with_the_weight_that_it_lists(bool hasBias)
    {
        Linear linear;
        using (NewDisposeScope()) linear = UnfilledLayers.Linear(4, 3, hasBias, ScalarType.Float32, TestDevice.Current);
        using (no_grad())
        using (NewDisposeScope())
        {
            foreach ((_, Parameter parameter) in linear.named_parameters()) parameter.fill_(3);
            Assert.Equal(hasBias ? 45 : 36, linear.call(ones(1, 4, device: TestDevice.Current)).sum().item<float>());
        }
        linear.Dispose();
    }
}
