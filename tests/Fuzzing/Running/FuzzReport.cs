namespace Lora.Fuzzing.Running;

/// <summary>What a run found.</summary>
internal sealed class FuzzReport
{
    private const int MostKinds = 5000;

    internal required string Target { get; init; }

    internal long Inputs { get; set; }

    internal long Accepted { get; set; }

    internal long Rejected { get; set; }

    internal long Bytes { get; set; }

    /// <summary>How often rejections of a kind came, by <see cref="ErrorText.Kind"/>.</summary>
    internal Dictionary<string, long> Kinds { get; } = new(StringComparer.Ordinal);

    /// <summary>The largest share of what an input may allocate, managed: 1 is the limit.</summary>
    internal (double Share, long Allocated, int Size, long Place) Managed { get; set; }

    /// <summary>The most managed bytes above the floor for each byte of the file.</summary>
    internal double BytesPerByte { get; set; }

    /// <summary>The most bytes of tensors for each byte of the file.</summary>
    internal double NativePerByte { get; set; }

    internal (TimeSpan Time, int Size, long Place) Slowest { get; set; }

    internal TimeSpan Elapsed { get; set; }

    /// <summary>The first failure of each kind.</summary>
    internal List<FuzzFailure> Failures { get; } = [];

    internal Dictionary<string, long> FailureKinds { get; } = new(StringComparer.Ordinal);

    internal long Failed => FailureKinds.Values.Sum();

    internal void Fail(FuzzFailure failure, string kind)
    {
        if (FailureKinds.TryAdd(kind, 0)) Failures.Add(failure);
        FailureKinds[kind]++;
    }

    internal void Count(string kind)
    {
        Rejected++;
        if (!Kinds.ContainsKey(kind) && Kinds.Count >= MostKinds) kind = "others";
        Kinds[kind] = Kinds.GetValueOrDefault(kind) + 1;
    }
}

/// <summary>An input that a reader did not take as it should.</summary>
/// <param name="Place">The input's number; below 0 for a seed.</param>
/// <param name="Seed">The name of what it was made of.</param>
/// <param name="Input">The input.</param>
/// <param name="Problem">What went wrong.</param>
internal sealed record FuzzFailure(long Place, string Seed, byte[] Input, string Problem);
