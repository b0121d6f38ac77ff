using System.Text.Json;
using Lora.Layers;

namespace Lora.Tests.Golden;

/// <summary>A model and a configuration of which an adapter is written for PEFT to read.</summary>
/// <param name="Name">The case's name.</param>
/// <param name="Modules">The modules, as <c>case.json</c> lists them.</param>
/// <param name="Forward">The chain of calls.</param>
/// <param name="Input">The shape of the input.</param>
/// <param name="Config">The configuration.</param>
public sealed record PeftCase(string Name, string Modules, string[] Forward, long[] Input, LoraConfig Config)
{
    private const string Two = """[{"path":"first","type":"Linear","args":{"in_features":7,"out_features":9}},{"path":"second","type":"Linear","args":{"in_features":9,"out_features":5}}]""";
    private const string Text = """[{"path":"tokens","type":"Embedding","args":{"num_embeddings":11,"embedding_dim":6}},{"path":"out","type":"Linear","args":{"in_features":6,"out_features":4}}]""";
    private const string Stack = """
        [{"path":"layers.0.up","type":"Linear","args":{"in_features":6,"out_features":8}},{"path":"layers.0.norm","type":"LayerNorm","args":{"normalized_shape":8}},
         {"path":"layers.0.down","type":"Linear","args":{"in_features":8,"out_features":6,"bias":false}},{"path":"layers.1.up","type":"Linear","args":{"in_features":6,"out_features":8}},
         {"path":"layers.1.down","type":"Linear","args":{"in_features":8,"out_features":6}},{"path":"head","type":"Linear","args":{"in_features":6,"out_features":3}}]
        """;

    private static readonly string[] _stack = ["layers.0.up", "layers.0.norm", "@silu", "layers.0.down", "layers.1.up", "@tanh", "layers.1.down", "head"];

    /// <summary>The input's indices where it is one of tokens, of as many.</summary>
    public int? Tokens { get; init; }

    /// <summary>A further adapter, which is active together with the first.</summary>
    public LoraConfig? Second { get; init; }

    /// <summary>Kinds of layers beside the built-in ones; the adapter is written expanded then.</summary>
    public IReadOnlyList<LoraLayerKind> Kinds { get; init; } = [];

    /// <summary>Whether PEFT can merge it.</summary>
    public bool Merges { get; init; } = true;

    /// <summary>Whether the adapter has nothing but low-rank pairs, so that other forms of files carry it.</summary>
    public bool HasPairsOnly => Second is null && Config is { Bias: BiasKind.None, ModulesToSave.Count: 0, TrainableTokens: null, TargetParameters: null, BlockDiagonal: null };

    /// <summary>The description of the base model.</summary>
    public JsonElement Base => JsonSerializer.SerializeToElement(new { kind = "spec", weights = "base.safetensors", modules = JsonSerializer.Deserialize<JsonElement>(Modules), forward = Forward });

    /// <summary>All of them: the kinds of layers that PEFT adapts, and the settings that change a file.</summary>
    public static IReadOnlyList<PeftCase> All { get; } =
    [
        new("linear", Two, ["first", "@tanh", "second"], [4, 7], Rank("first", "second")),
        new("embedding", Text, ["tokens", "out"], [2, 5], Rank("tokens")) { Tokens = 11 },
        Convolution("conv1d", """{"in_channels":4,"out_channels":6,"kernel_size":3,"stride":2,"padding":1}""", "Conv1d", [2, 4, 9]),
        Convolution("conv2d", """{"in_channels":4,"out_channels":6,"kernel_size":[3,2],"stride":[1,2],"padding":[1,0]}""", "Conv2d", [2, 4, 6, 7]),
        Convolution("conv2d_groups", """{"in_channels":4,"out_channels":6,"kernel_size":3,"groups":2}""", "Conv2d", [2, 4, 6, 7]) with { Merges = false },
        Convolution("conv3d", """{"in_channels":4,"out_channels":6,"kernel_size":2,"bias":false}""", "Conv3d", [2, 4, 3, 4, 3]),
        new("hf_conv1d", """[{"path":"first","type":"HFConv1D","args":{"nf":9,"nx":7}},{"path":"second","type":"HFConv1D","args":{"nf":5,"nx":9}}]""", ["first", "@gelu", "second"], [4, 7], Rank("first", "second")),
        Attention("attention", ModuleSelector.EndsWith("attention", "out")),
        Attention("attention_in_proj", ModuleSelector.EndsWith("attention.in_proj", "out")),
        Experts("experts_in_out", "eio"),
        Experts("experts_out_in", "eoi"),
        new("modules_to_save", Stack, _stack, [5, 6], Rank("up") with { ModulesToSave = ["head", "layers.0.norm"] }),
        new("bias_all", Stack, _stack, [5, 6], Rank("up", "down") with { Bias = BiasKind.All }),
        new("bias_lora_only", Stack, _stack, [5, 6], Rank("up", "down") with { Bias = BiasKind.LoraOnly }),
        new("lora_bias", Stack, _stack, [5, 6], Rank("up", "head") with { UseLoraBias = true }),
        new("rslora", Stack, _stack, [5, 6], Rank("up", "down") with { UseRankStabilizedScaling = true }),
        new("bdlora", Stack, _stack, [5, 6], Rank("up", "down") with { Rank = 4, BlockDiagonal = new BlockDiagonalOptions { DownModules = ["down"], UpModules = ["up"], Blocks = 2 } }),
        new("patterns", Stack, _stack, [5, 6], LoraConfig.AllLinear(3, 5) with
        {
            RankPattern = new Dictionary<string, int> { ["up"] = 4, [@"^layers\.1\.down"] = 2 },
            AlphaPattern = new Dictionary<string, double> { [@"layers.\d+.(up|down)"] = 7.5, ["head"] = 1 },
        }),
        new("layers", Stack, _stack, [5, 6], Rank("up", "down") with { TargetModules = ModuleSelector.Regex(@".*\.(up|down)"), ExcludedModules = ModuleSelector.EndsWith("1.up") }),
        new("trainable_tokens", Text, ["tokens", "out"], [2, 5], Rank("out") with { TrainableTokens = TrainableTokens.In("tokens", 3, 7, 1) }) { Tokens = 11 },
        Fused("fused", useRankStabilizedScaling: false),
        Fused("fused_rslora", useRankStabilizedScaling: true),
        new("two_adapters", Two, ["first", "@relu", "second"], [4, 7], Rank("first", "second")) { Second = Rank("second") with { Rank = 5, Alpha = 2 } },
    ];

    /// <inheritdoc/>
    public override string ToString() => Name;

    private static LoraConfig Rank(params string[] targets) => new() { Rank = 3, Alpha = 7, TargetModules = ModuleSelector.EndsWith(targets) };

    // The rank is even for the sake of two groups.
    private static PeftCase Convolution(string name, string arguments, string type, long[] input) => new(
        name, $$$"""[{"path":"conv","type":"{{{type}}}","args":{{{arguments}}}},{"path":"pointwise","type":"{{{type}}}","args":{"in_channels":6,"out_channels":5,"kernel_size":1}}]""",
        ["conv", "@tanh", "pointwise"], input, Rank("conv") with { Rank = 4 });

    // Parts of one width and of several, of a plain layer and of one that stores its weight transposed.
    private static PeftCase Fused(string name, bool useRankStabilizedScaling) => new(
        name, """[{"path":"first","type":"Linear","args":{"in_features":7,"out_features":9}},{"path":"second","type":"HFConv1D","args":{"nf":8,"nx":9}},{"path":"third","type":"Linear","args":{"in_features":8,"out_features":4}}]""",
        ["first", "@tanh", "second", "@silu", "third"], [4, 7],
        LoraConfig.AllLinear(3, 7) with { UseRankStabilizedScaling = useRankStabilizedScaling, RankPattern = new Dictionary<string, int> { ["second"] = 2 }, AlphaPattern = new Dictionary<string, double> { ["first"] = 5 } })
    {
        Kinds = [new FusedLinearKind(ModuleSelector.EndsWith("first"), [true, false, true]), new FusedLinearKind(ModuleSelector.EndsWith("second"), [true, true, false], [2, 5, 1])],
    };

    private static PeftCase Attention(string name, ModuleSelector targets) => new(
        name, """[{"path":"attention","type":"MultiheadAttention","args":{"embed_dim":8,"num_heads":2,"batch_first":true}},{"path":"out","type":"Linear","args":{"in_features":8,"out_features":5}}]""",
        ["attention", "@tanh", "out"], [2, 3, 8], Rank("x") with { TargetModules = targets });

    private static PeftCase Experts(string name, string layout) => new(
        name, $$$"""[{"path":"pre","type":"Linear","args":{"in_features":5,"out_features":6}},{"path":"block.moe","type":"Experts","args":{"num":3,"d":6,"h":7,"layout":"{{{layout}}}"}}]""",
        ["pre", "block.moe"], [4, 5], Rank("pre") with { TargetParameters = ModuleSelector.EndsWith("moe.w_up", "moe.w_down"), RankPattern = new Dictionary<string, int> { ["block.moe.w_up"] = 2 } });
}
