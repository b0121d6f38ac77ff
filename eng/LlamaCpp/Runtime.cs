using LLama;
using LLama.Common;
using LLama.Native;

namespace Lora.LlamaCpp;

/// <summary>llama.cpp.</summary>
internal static class Runtime
{
    /// <summary>The logits of each token of a text, one after the other.</summary>
    internal static float[] Logits(string model, string? adapter, long[] ids)
    {
        var settings = new ModelParams(model)
        {
            ContextSize = 128, GpuLayerCount = 0, TypeK = GGMLType.GGML_TYPE_F32, TypeV = GGMLType.GGML_TYPE_F32, FlashAttention = false, Threads = 1, BatchThreads = 1,
        };
        using LLamaWeights weights = LLamaWeights.LoadFromFile(settings);
        using LLamaContext context = weights.CreateContext(settings);
        if (adapter is not null) context.NativeHandle.SetLoraAdapters((weights.NativeHandle.LoadLoraFromFile(adapter), 1f));
        var batch = new LLamaBatch();
        for (int i = 0; i < ids.Length; i++) batch.Add((LLamaToken)(int)ids[i], i, LLamaSeqId.Zero, true);
        DecodeResult result = context.NativeHandle.Decode(batch);
        if (result != DecodeResult.Ok) throw new InvalidOperationException($"llama.cpp could not compute {model}: {result}.");
        var logits = new List<float>();
        for (int i = 0; i < ids.Length; i++) logits.AddRange(context.NativeHandle.GetLogitsIth(i));
        return [.. logits];
    }
}
