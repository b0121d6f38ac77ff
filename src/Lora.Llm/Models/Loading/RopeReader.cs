using Lora.Llm.Blocks;

namespace Lora.Llm.Loading;

/// <summary>Reads the parameters of rotary positions in the spelling of transformers 4 or 5.</summary>
internal static class RopeReader
{
    private const double DefaultTheta = 10000;

    internal static RopeSettings Read(ConfigReader file, string kind)
    {
        // Version 5 puts everything into rope_parameters; version 4 has rope_theta beside rope_scaling, whose key was once "type".
        ConfigReader? five = file.Section("rope_parameters");
        ConfigReader? scaling = five ?? file.Section("rope_scaling");
        double theta = five is not null && five.Has("rope_theta") ? five.Number("rope_theta") : file.Number("rope_theta", DefaultTheta);
        double part = (scaling is not null && scaling.Has("partial_rotary_factor") ? scaling : file).Number("partial_rotary_factor", 1);
        file.Require(part == 1, FormattableString.Invariant($"partial_rotary_factor is {part}, but a {kind} turns all components (1)."));
        if (scaling is null) return new DefaultRope(theta);

        string type = scaling.Text("rope_type") ?? scaling.Text("type") ?? "default";
        switch (type)
        {
            case "default":
                return new DefaultRope(theta);
            case "linear":
                return new LinearRope(theta, scaling.Number("factor"));
            case "llama3":
                var rope = new Llama3Rope(
                    theta, scaling.Number("factor"), scaling.Number("low_freq_factor"), scaling.Number("high_freq_factor"),
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
}
