namespace Lora.Inspection;

/// <summary>Colours from nearly white to dark blue, of falling lightness, so that they can be told apart in grey too.</summary>
internal static class ColorRamp
{
    private static readonly (int Red, int Green, int Blue)[] _colors = [(247, 251, 255), (198, 219, 239), (107, 174, 214), (33, 113, 181), (8, 48, 107)];

    /// <summary>The colour at a place from 0 to 1.</summary>
    internal static string At(double place)
    {
        double position = Math.Clamp(place, 0, 1) * (_colors.Length - 1);
        int below = Math.Min((int)position, _colors.Length - 2);
        double part = position - below;
        (int red, int green, int blue) = (Between(c => c.Red), Between(c => c.Green), Between(c => c.Blue));
        return $"#{red:x2}{green:x2}{blue:x2}";

        int Between(Func<(int Red, int Green, int Blue), int> channel) => (int)Math.Round(channel(_colors[below]) + (part * (channel(_colors[below + 1]) - channel(_colors[below]))));
    }

    /// <summary>The colour of a text that can be read on it.</summary>
    internal static string TextOn(double place) => place > 0.55 ? "#ffffff" : "#000000";
}
