using System.Text.RegularExpressions;
using static TorchSharp.torch;

namespace Lora.Tests.Golden;

/// <summary>Adapters made by PEFT on small models: outputs, gradients and merged weights are PEFT's.</summary>
public sealed class GoldenModelTests(ITestOutputHelper output)
{
    public static IEnumerable<TheoryDataRow<string>> GroupA => Rows('A');

    public static IEnumerable<TheoryDataRow<string>> GroupB => Rows('B');

    public static IEnumerable<TheoryDataRow<string>> GroupC => Rows('C');

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(GroupA))]
    [Trait("Golden", "A")]
    public void Layer_kinds_agree(string name) => Run(name);

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(GroupB))]
    [Trait("Golden", "B")]
    public void Settings_agree(string name) => Run(name);

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(GroupC))]
    [Trait("Golden", "C")]
    public void Initialisations_agree(string name) => Run(name);

    private static IEnumerable<TheoryDataRow<string>> Rows(char group) => GoldenFolder.Cases(group).Where(name => GoldenFolder.BaseKind(name) == "spec").Select(name => new TheoryDataRow<string>(name));

    private void Run(string name)
    {
        using var golden = new GoldenCase(name);
        new SpecRunner(golden).RunAll();
        Assert.NotEqual(0, golden.Compared);
        output.WriteLine($"{golden.Compared} tensors compared");
    }

    internal sealed class SpecRunner(GoldenCase golden) : GoldenRunner<SpecModel>(golden)
    {
        internal SpecModel BuildModel() => Build();

        protected override SpecModel Build()
        {
            System.Text.Json.JsonElement spec = Golden.Json.GetProperty("base");
            var model = new SpecModel(spec, Golden.PathOf(spec.GetProperty("weights").GetString()!));
            model.eval();
            return model;
        }

        // TorchSharp does not tell an embedding's padding index.
        protected override WrapOptions Options => new()
        {
            PaddingIndices = Golden.Json.GetProperty("base").GetProperty("modules").EnumerateArray()
                .Where(module => module.GetProperty("args").TryGetProperty("padding_idx", out _))
                .ToDictionary(module => $"^{Regex.Escape(module.GetProperty("path").GetString()!)}", module => module.GetProperty("args").GetProperty("padding_idx").GetInt64()),
        };

        protected override Tensor Forward(SpecModel model, IReadOnlyDictionary<string, Tensor> inputs) => model.call(inputs.Values.Single());
    }
}
