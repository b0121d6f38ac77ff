using Lora.Tests;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models;

/// <summary>Small models of the families beside Llama, with every weight drawn at random.</summary>
internal static class TinyDecoders
{
    public static MistralModel Mistral(int? window, ScalarType dataType = ScalarType.Float64) => TinyLlama.Filled(new MistralModel(
        new MistralConfig
        {
            VocabularySize = 37,
            HiddenSize = 20,
            IntermediateSize = 27,
            Layers = 2,
            Heads = 6,
            KeyValueHeads = 2,
            HeadDimension = 4,
            RopeTheta = 500,
            SlidingWindow = window,
        },
        dataType, TestDevice.Current));

    public static Qwen2Model Qwen2(ScalarType dataType) => TinyLlama.Filled(new Qwen2Model(
        new Qwen2Config
        {
            VocabularySize = 37,
            HiddenSize = 20,
            IntermediateSize = 27,
            Layers = 2,
            Heads = 6,
            KeyValueHeads = 2,
            HeadDimension = 4,
        },
        dataType, TestDevice.Current));

    public static Qwen3Model Qwen3(ScalarType dataType) => TinyLlama.Filled(new Qwen3Model(
        new Qwen3Config
        {
            VocabularySize = 37,
            HiddenSize = 20,
            IntermediateSize = 27,
            Layers = 2,
            Heads = 6,
            KeyValueHeads = 2,
            HeadDimension = 4,
        },
        dataType, TestDevice.Current));
}
