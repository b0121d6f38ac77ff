using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SystemTorch.Tests.Optim;

/// <summary>Where the package's optimizers are not PyTorch's: their files, and what they do with odd input. The expectations are what TorchSharp 0.107 gave.</summary>
public sealed class OptimizerPackageTests
{
    // After one step on three numbers: the states are the same whatever libtorch computed them.
    private const string AdamWFile =
        "054164616D5701019A9999999999B93F9A9999999999B93FCDCCCCCCCCCCEC3F2B8716D9CEF7EF3F3A8C30E28E79453E9A9999999999C93F0000"
        + "01000000000000000601031517723D50552C3ECC174B3E0601031F26B739019E393B66E5803B00";

    private const string AmsgradFile =
        "054164616D5701019A9999999999B93F9A9999999999B93FCDCCCCCCCCCCEC3F2B8716D9CEF7EF3F3A8C30E28E79453E9A9999999999C93F0100"
        + "01000000000000000601031517723D50552C3ECC174B3E0601031F26B739019E393B66E5803B010601031F26B739019E393B66E5803B";

    private const string SgdFile = "0353474401019A9999999999B93F9A9999999999B93F000000000000E03F000000000000000000000000000000000000010601036D4E173FA46AD73FBFDDFD3F";

    [Theory]
    [InlineData(AdamWFile, false)]
    [InlineData(AmsgradFile, true)]
    public void AdamWReadsAndWritesThePackagesFile(string file, bool amsgrad)
    {
        using DisposeScope scope = NewDisposeScope();
        using AdamW optimizer = optim.AdamW([new Parameter(zeros(3))], amsgrad: amsgrad);
        optimizer.load_state_dict(new BinaryReader(new MemoryStream(Convert.FromHexString(file))));

        Assert.Equal(0.1, optimizer.ParamGroups.Single().LearningRate);
        var state = (AdamW.State)optimizer.state_dict().State.Single();
        Assert.Equal(1, state.step);
        Assert.Equal([0.059104044f, 0.16829419f, 0.19833297f], state.exp_avg.data<float>().ToArray());
        Assert.Equal(file, Written(optimizer));
    }

    [Fact]
    public void SgdReadsAndWritesThePackagesFile()
    {
        using DisposeScope scope = NewDisposeScope();
        using SGD optimizer = optim.SGD([new Parameter(zeros(3))], 1);
        optimizer.load_state_dict(new BinaryReader(new MemoryStream(Convert.FromHexString(SgdFile))));
        Assert.Equal(SgdFile, Written(optimizer));
    }

    [Fact]
    public void AFileOfAnotherOptimizerIsRefused()
    {
        using DisposeScope scope = NewDisposeScope();
        using Adam adam = optim.Adam([new Parameter(zeros(3))]);
        using AdamW two = optim.AdamW([new Parameter(zeros(3)), new Parameter(zeros(3))]);
        Assert.Contains(
            "expected 'Adam', but found 'AdamW'",
            Assert.Throws<InvalidDataException>(() => adam.load_state_dict(new BinaryReader(new MemoryStream(Convert.FromHexString(AdamWFile))))).Message,
            StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => two.load_state_dict(new BinaryReader(new MemoryStream(Convert.FromHexString(AdamWFile)))));
    }

    [Fact]
    public void MaximizingSgdGoesAgainstTheDecayToo()
    {
        using DisposeScope scope = NewDisposeScope();
        var parameter = new Parameter(tensor(new[] { 2.0 }));
        parameter.grad = tensor(new[] { 3.0 });
        optim.SGD([parameter], 0.1, weight_decay: 0.5, maximize: true).step();
        Assert.Equal(2 + (0.1 * (3 + (0.5 * 2))), parameter.item<double>(), 12);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void AStepAfterAConversionKnowsNoneOfTheParameters(bool listed)
    {
        using DisposeScope scope = NewDisposeScope();
        foreach (Func<IEnumerable<Parameter>, optim.Optimizer> make in new Func<IEnumerable<Parameter>, optim.Optimizer>[]
        {
            p => optim.AdamW(p), p => optim.Adam(p), p => optim.SGD(p, 0.1),
        })
        {
            Linear layer = nn.Linear(2, 2);
            using optim.Optimizer optimizer = make(listed ? layer.parameters().ToList() : layer.parameters());
            layer.to(ScalarType.Float64);
            Assert.Throws<KeyNotFoundException>(() => optimizer.step());
        }
    }

    [Fact]
    public void ANegativeRateIsRefusedInThePackagesWords()
    {
        using DisposeScope scope = NewDisposeScope();
        Assert.Equal("Invalid learning rate: -1", Assert.Throws<ArgumentException>(() => optim.AdamW([new Parameter(zeros(3))], lr: -1)).Message);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void AdamStepsIn16Bits(bool amsgrad)
    {
        using DisposeScope scope = NewDisposeScope();
        foreach (ScalarType type in new[] { ScalarType.Float16, ScalarType.BFloat16 })
        {
            // What one step does is known: the rate, in the direction of the gradient's sign.
            var parameter = new Parameter(tensor(new[] { 1f, -2f, 0.5f }).to(type));
            parameter.grad = tensor(new[] { 0.5f, -0.25f, 1f }).to(type);
            optim.AdamW([parameter], lr: 0.25, eps: 1e-4, amsgrad: amsgrad).step();
            Assert.Equal(type, parameter.dtype);
            Assert.True(parameter.to(ScalarType.Float32).allclose(tensor(new[] { 0.75f, -1.75f, 0.25f }), 0.01, 0.01), parameter.str());
        }
    }

    private static string Written(OptimizerHelper optimizer)
    {
        using var stream = new MemoryStream();
        optimizer.save_state_dict(new BinaryWriter(stream));
        return Convert.ToHexString(stream.ToArray());
    }
}
