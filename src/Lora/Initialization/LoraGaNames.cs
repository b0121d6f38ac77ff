namespace Lora.Initialization;

/// <summary>PEFT's names of the settings of LoRA-GA.</summary>
internal static class LoraGaNames
{
    internal static string Of(LoraGaDirection direction) => direction == LoraGaDirection.Random ? "random" : direction.ToString();

    internal static string Of(LoraGaScale scale) => scale switch
    {
        LoraGaScale.Weight => "weight_svd",
        LoraGaScale.GradientDescent => "gd_scale",
        LoraGaScale.Unit => "unit",
        _ => "stable",
    };

    internal static LoraGaDirection? Direction(string name) => Find(name, Enum.GetValues<LoraGaDirection>(), Of);

    internal static LoraGaScale? Scale(string name) => Find(name, Enum.GetValues<LoraGaScale>(), Of);

    private static T? Find<T>(string name, T[] values, Func<T, string> nameOf)
        where T : struct
    {
        foreach (T value in values)
        {
            if (nameOf(value) == name) return value;
        }
        return null;
    }
}
