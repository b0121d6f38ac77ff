using Lora.Initialization;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Initialization;

/// <summary>The initialisations by name, with the data that some need.</summary>
public enum Start
{
    Kaiming,
    Gaussian,
    Orthogonal,
    Mica,
    Eva,
    Pissa,
    PissaRandomized,
    Olora,
    Corda,
    CordaKnowledge,
    LoraGa,
    LoraGaRandom,
}

internal static class Starts
{
    internal const int In = 9;
    internal const int Middle = 8;
    internal const int Out = 6;

    internal static LoraConfig Config { get; } = LoraConfig.AllLinear(rank: 2, alpha: 5);

    internal static bool ChangesBase(this Start start) => start >= Start.Pissa;

    /// <summary>A model of two linear layers, the second stored as [in, out] where asked for.</summary>
    internal static nn.Module<Tensor, Tensor> Model(bool transposed = false, bool hooked = false, ScalarType type = ScalarType.Float32)
    {
        LayerKind second = transposed ? LayerKind.Transposed : LayerKind.Linear;
        (nn.Module<Tensor, Tensor> a, nn.Module<Tensor, Tensor> b) = (LayerKind.Linear.Make(In, Middle, type, seed: 10), second.Make(Middle, Out, type, seed: 20));
        return hooked ? new NoFieldModel(a, b) : new FieldModel(a, b);
    }

    internal static Tensor Input(int seed = 40, int rows = 5, ScalarType type = ScalarType.Float32) => Noise.Fill(empty([rows, In], type, TestDevice.Current), seed, range: 1.7);

    internal static LoraConfig With(Start start, nn.Module<Tensor, Tensor> model, LoraConfig? config = null) => (config ?? Config) with { Initialization = Of(start, model) };

    internal static AdapterInitialization Of(Start start, nn.Module<Tensor, Tensor> model) => start switch
    {
        Start.Kaiming => AdapterInitialization.Kaiming,
        Start.Gaussian => AdapterInitialization.Gaussian,
        Start.Orthogonal => AdapterInitialization.Orthogonal,
        Start.Mica => AdapterInitialization.Mica,
        Start.Pissa => AdapterInitialization.Pissa,
        Start.PissaRandomized => new PissaInitialization { Iterations = 4, Seed = 7 },
        Start.Olora => AdapterInitialization.Olora,
        Start.Eva => new EvaInitialization { Passes = Passes(model, loss: false) },
        Start.Corda => new CordaInitialization { Passes = Passes(model, loss: false) },
        Start.CordaKnowledge => new CordaInitialization { Method = CordaMethod.KnowledgePreserved, Passes = Passes(model, loss: false) },
        Start.LoraGa => new LoraGaInitialization { Passes = Passes(model, loss: true) },
        Start.LoraGaRandom => new LoraGaInitialization { Direction = LoraGaDirection.Random, Scale = LoraGaScale.Weight, Passes = Passes(model, loss: true) },
        _ => throw new ArgumentOutOfRangeException(nameof(start)),
    };

    internal static CalibrationPass[] Passes(nn.Module<Tensor, Tensor> model, bool loss) =>
    [
        .. Enumerable.Range(0, 3).Select(i => new CalibrationPass(() =>
        {
            using var scope = NewDisposeScope();
            Tensor output = model.call(Input(seed: 60 + i, rows: 24, type: model.parameters().First().dtype));
            if (loss) output.square().mean().backward();
        })),
    ];
}
