namespace Lora.Llm.Blocks;

/// <summary>The parameters of rotary positions: the base, and how the frequencies are changed for texts longer than those of pretraining.</summary>
internal abstract record RopeSettings(double Theta)
{
    /// <summary>The angle per position of each pair of components.</summary>
    /// <param name="headDimension">The width of a head, an even number.</param>
    internal double[] Frequencies(int headDimension)
    {
        var frequencies = new double[headDimension / 2];
        for (int i = 0; i < frequencies.Length; i++) frequencies[i] = Adjust(Math.Pow(Theta, -2.0 * i / headDimension));
        return frequencies;
    }

    private protected abstract double Adjust(double frequency);
}

/// <summary>The frequencies as they were invented (Su et al. 2021).</summary>
internal sealed record DefaultRope(double Theta) : RopeSettings(Theta)
{
    private protected override double Adjust(double frequency) => frequency;
}

/// <summary>All frequencies divided by a factor (Chen et al. 2023).</summary>
internal sealed record LinearRope(double Theta, double Factor) : RopeSettings(Theta)
{
    private protected override double Adjust(double frequency) => frequency / Factor;
}

/// <summary>Llama 3.1: low frequencies divided by a factor, high ones kept, those between blended.</summary>
internal sealed record Llama3Rope(double Theta, double Factor, double LowFrequencyFactor, double HighFrequencyFactor, double OriginalPositions) : RopeSettings(Theta)
{
    private protected override double Adjust(double frequency)
    {
        double wavelength = 2 * Math.PI / frequency;
        if (wavelength < OriginalPositions / HighFrequencyFactor) return frequency;
        if (wavelength > OriginalPositions / LowFrequencyFactor) return frequency / Factor;
        double kept = (OriginalPositions / wavelength - LowFrequencyFactor) / (HighFrequencyFactor - LowFrequencyFactor);
        return (1 - kept) * frequency / Factor + kept * frequency;
    }
}
