namespace Lora;

/// <summary>How the sign of an element is elected where adapters disagree (Yadav et al. 2023, "TIES-Merging", section 4.2).</summary>
public enum MajoritySign
{
    /// <summary>The sign of the sum of the values. A sum of zero counts as positive.</summary>
    Total,

    /// <summary>The sign that more adapters have, however large their values are. A draw counts as positive.</summary>
    Frequency,
}
