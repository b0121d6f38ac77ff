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

    public static Gemma2Model Gemma2(ScalarType dataType = ScalarType.Float64) => TinyLlama.Filled(new Gemma2Model(
        new Gemma2Config
        {
            VocabularySize = 37,
            HiddenSize = 20,
            IntermediateSize = 27,
            Layers = 3,
            Heads = 6,
            KeyValueHeads = 2,
            HeadDimension = 4,
            SlidingWindow = 3,
            QueryPreAttentionScalar = 7,
            AttentionSoftCap = 2,
            LogitSoftCap = 5,
        },
        dataType, TestDevice.Current));

    public static Gemma3Model Gemma3(ScalarType dataType = ScalarType.Float64) => TinyLlama.Filled(new Gemma3Model(
        new Gemma3Config
        {
            VocabularySize = 37,
            HiddenSize = 20,
            IntermediateSize = 27,
            Layers = 3,
            Heads = 6,
            KeyValueHeads = 2,
            HeadDimension = 4,
            SlidingWindow = 3,
            LayerTypes = [LayerAttention.Sliding, LayerAttention.Full, LayerAttention.Sliding],
            LocalRopeTheta = 50,
        },
        dataType, TestDevice.Current));

    public static Phi3Model Phi3(ScalarType dataType = ScalarType.Float64) => TinyLlama.Filled(new Phi3Model(
        new Phi3Config
        {
            VocabularySize = 37,
            HiddenSize = 20,
            IntermediateSize = 27,
            Layers = 2,
            Heads = 6,
            KeyValueHeads = 2,
            HeadDimension = 8,
            SlidingWindow = 4,
            PartialRotaryFactor = 0.75,
            ResidualDropout = 0.2,
        },
        dataType, TestDevice.Current));

    public static Gpt2Model Gpt2(ScalarType dataType = ScalarType.Float64) => TinyLlama.Filled(new Gpt2Model(
        new Gpt2Config
        {
            VocabularySize = 37,
            HiddenSize = 20,
            InnerSize = 27,
            Layers = 2,
            Heads = 5,
            MaxPositions = 24,
            ScaleAttentionByInverseLayer = true,
        },
        dataType, TestDevice.Current));

    public static CausalLanguageModel Make(string type, ScalarType dataType = ScalarType.Float64) => type switch
    {
        "gemma2" => Gemma2(dataType),
        "gemma3_text" => Gemma3(dataType),
        "gpt2" => Gpt2(dataType),
        "phi3" => Phi3(dataType),
        _ => throw new ArgumentException(type),
    };
}
