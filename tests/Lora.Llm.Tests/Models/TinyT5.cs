using Lora.Tests;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models;

/// <summary>A T5 of odd, different sizes, with every weight drawn at random.</summary>
internal static class TinyT5
{
    public static T5Model Make(bool modern = false, ScalarType type = ScalarType.Float64) => PretrainedFolder.Filled(
        new T5Model(
            new T5Config
            {
                VocabularySize = 37,
                HiddenSize = 20,
                IntermediateSize = 27,
                Layers = 2,
                DecoderLayers = 3,
                Heads = 6,
                HeadDimension = 4,
                RelativeBuckets = 8,
                MaxRelativeDistance = 12,
                Activation = modern ? "gelu_new" : "relu",
                IsGated = modern,
                TieEmbeddings = !modern,
                ScaleDecoderOutputs = !modern,
                EndTokenIds = [],
            },
            type, TestDevice.Current),
        spread: 0.5);
}
