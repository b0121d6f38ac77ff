namespace Lora.Llm.Blocks;

/// <summary>The parameters of rotary positions: the base, and how the frequencies are changed for texts longer than those of pretraining.</summary>
internal abstract record RopeSettings(double Theta)
{
    /// <summary>The share of a head's components that are turned, the first ones (<c>partial_rotary_factor</c>).</summary>
    internal double Part { get; init; } = 1;

    /// <summary>What cosines and sines are multiplied with.</summary>
    internal virtual double Amplitude => 1;

    /// <summary>The largest number of positions that has the usual frequencies, where longer texts have others.</summary>
    internal virtual long? UsualPositions => null;

    /// <summary>The number of components of a head that are turned.</summary>
    internal int WidthOf(int headDimension) => (int)(headDimension * Part);

    /// <summary>The angle per position of each pair of components.</summary>
    /// <param name="width">The number of components that are turned, an even number.</param>
    /// <param name="isLong">Whether the text is longer than <see cref="UsualPositions"/>.</param>
    internal double[] Frequencies(int width, bool isLong = false)
    {
        var frequencies = new double[width / 2];
        for (int i = 0; i < frequencies.Length; i++) frequencies[i] = Adjust(Math.Pow(Theta, -2.0 * i / width), i, isLong);
        return frequencies;
    }

    private protected abstract double Adjust(double frequency, int pair, bool isLong);
}

/// <summary>The frequencies as they were invented (Su et al. 2021).</summary>
internal sealed record DefaultRope(double Theta) : RopeSettings(Theta)
{
    private protected override double Adjust(double frequency, int pair, bool isLong) => frequency;
}

/// <summary>All frequencies divided by a factor (Chen et al. 2023).</summary>
internal sealed record LinearRope(double Theta, double Factor) : RopeSettings(Theta)
{
    private protected override double Adjust(double frequency, int pair, bool isLong) => frequency / Factor;
}

/// <summary>Llama 3.1: low frequencies divided by a factor, high ones kept, those between blended.</summary>
internal sealed record Llama3Rope(double Theta, double Factor, double LowFrequencyFactor, double HighFrequencyFactor, double OriginalPositions) : RopeSettings(Theta)
{
    private protected override double Adjust(double frequency, int pair, bool isLong)
    {
        double wavelength = 2 * Math.PI / frequency;
        if (wavelength < OriginalPositions / HighFrequencyFactor) return frequency;
        if (wavelength > OriginalPositions / LowFrequencyFactor) return frequency / Factor;
        double kept = (OriginalPositions / wavelength - LowFrequencyFactor) / (HighFrequencyFactor - LowFrequencyFactor);
        return (1 - kept) * frequency / Factor + kept * frequency;
    }
}

/// <summary>LongRoPE (Ding et al. 2024): each frequency divided by a factor of its own, others for texts longer than those of pretraining.</summary>
internal sealed record LongRope(double Theta, IReadOnlyList<double> ShortFactors, IReadOnlyList<double> LongFactors, int OriginalPositions, double AttentionFactor) : RopeSettings(Theta)
{
    internal override double Amplitude => AttentionFactor;

    internal override long? UsualPositions => OriginalPositions;

    private protected override double Adjust(double frequency, int pair, bool isLong) => frequency / (isLong ? LongFactors : ShortFactors)[pair];
}
