using Lora.Llm.Blocks;

namespace Lora.Llm.Loading;

/// <summary>Reads the parameters of rotary positions in the spelling of transformers 4 or 5.</summary>
internal static class RopeReader
{
    /// <summary>The base of Gemma 3's layers of full attention.</summary>
    internal const double Gemma3Theta = 1000000;

    private const double DefaultTheta = 10000;

    /// <summary>Reads those of a model all of whose layers have the same.</summary>
    internal static RopeSettings Read(ConfigReader file, string kind)
    {
        // Version 5 puts everything into rope_parameters; version 4 has rope_theta beside rope_scaling, whose key was once "type".
        ConfigReader? five = file.Section("rope_parameters");
        return Read(file, five ?? file.Section("rope_scaling"), Theta(file, five, "rope_theta", DefaultTheta), kind);
    }

    /// <summary>Reads those of Gemma 3's layers of full attention.</summary>
    internal static RopeSettings ReadGemma3(ConfigReader file, string kind)
    {
        ConfigReader? five = file.Section("rope_parameters")?.Section("full_attention");
        return Read(file, file.Section("rope_scaling") ?? five, Theta(file, five, "rope_theta", Gemma3Theta), kind);
    }

    /// <summary>Reads those of Gemma 3's sliding layers, which version 4 never scales.</summary>
    internal static RopeSettings ReadGemma3Local(ConfigReader file, string kind)
    {
        ConfigReader? five = file.Section("rope_parameters")?.Section("sliding_attention");
        return Read(file, five, Theta(file, five, "rope_local_base_freq", DefaultTheta), kind);
    }

    /// <summary>Reads those of a Phi-3, which may turn a part of each head, and may have other frequencies for long texts.</summary>
    internal static RopeSettings ReadPhi3(ConfigReader file, Phi3Config config)
    {
        ConfigReader? five = file.Section("rope_parameters");
        ConfigReader? scaling = five ?? file.Section("rope_scaling");
        double theta = Theta(file, five, "rope_theta", DefaultTheta), part = Part(file, scaling);
        int width = (int)(config.HeadDimension * part);
        file.Require(
            !file.IsRight || (part <= 1 && width > 0 && width % 2 == 0), FormattableString.Invariant($"partial_rotary_factor is {part}, which leaves no even number of a head's {config.HeadDimension} components to turn."));
        string type = TypeOf(scaling);
        // Longrope had these names at first.
        if (type is "longrope" or "su" or "yarn") return Long(file, scaling!, theta, config.MaxPositions, width) with { Part = part };
        file.Require(type == "default", $"rope_type is \"{type}\", but a {config.Kind} has \"default\" or \"longrope\".");
        return new DefaultRope(theta) { Part = part };
    }

    private static RopeSettings Read(ConfigReader file, ConfigReader? scaling, double theta, string kind)
    {
        double part = Part(file, scaling);
        file.Require(part == 1, FormattableString.Invariant($"partial_rotary_factor is {part}, but a {kind} turns all components (1)."));
        string type = TypeOf(scaling);
        switch (type)
        {
            case "default":
                return new DefaultRope(theta);
            case "linear":
                return new LinearRope(theta, scaling!.Number("factor"));
            case "llama3":
                var rope = new Llama3Rope(
                    theta, scaling!.Number("factor"), scaling.Number("low_freq_factor"), scaling.Number("high_freq_factor"),
                    scaling.Number("original_max_position_embeddings"));
                file.Require(
                    !file.IsRight || rope.HighFrequencyFactor > rope.LowFrequencyFactor,
                    FormattableString.Invariant($"high_freq_factor ({rope.HighFrequencyFactor}) must be above low_freq_factor ({rope.LowFrequencyFactor})."));
                return rope;
            default:
                file.Require(false, $"rope_type is \"{type}\", but this version supports \"default\", \"linear\" and \"llama3\".");
                return new DefaultRope(theta);
        }
    }

    // The factors of each pair, and by how much cosines and sines grow: √(1 + ln f / ln n) where a text of n positions became one of f·n.
    private static LongRope Long(ConfigReader file, ConfigReader scaling, double theta, int positions, int width)
    {
        IReadOnlyList<double> shorts = scaling.Numbers("short_factor"), longs = scaling.Numbers("long_factor");
        foreach ((string name, IReadOnlyList<double> factors) in new[] { ("short_factor", shorts), ("long_factor", longs) })
            file.Require(!file.IsRight || factors.Count == width / 2, $"{name} has {factors.Count} numbers, but {width / 2} pairs of components are turned.");
        // The field beside them comes first, as in transformers.
        int original = file.Count("original_max_position_embeddings", scaling.Count("original_max_position_embeddings", 4096));
        double factor = scaling.Number("factor", (double)positions / original);
        double grown = factor <= 1 ? 1 : Math.Sqrt(1 + Math.Log(factor) / Math.Log(original));
        return new LongRope(theta, shorts, longs, original, scaling.Number("attention_factor", grown));
    }

    private static double Theta(ConfigReader file, ConfigReader? five, string name, double fallback) =>
        five is not null && five.Has("rope_theta") ? five.Number("rope_theta") : file.Number(name, fallback);

    private static double Part(ConfigReader file, ConfigReader? scaling) =>
        (scaling is not null && scaling.Has("partial_rotary_factor") ? scaling : file).Number("partial_rotary_factor", 1);

    private static string TypeOf(ConfigReader? scaling) => scaling?.Text("rope_type") ?? scaling?.Text("type") ?? "default";
}
