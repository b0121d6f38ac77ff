using Lora.Fuzzing;
using Lora.Fuzzing.Running;
using Lora.Tests;

namespace Lora.Llm.Tests.Reading;

/// <summary>Damaged files for every reader: a few of the millions that <c>tests/Fuzzing</c> makes. Bytes of tensors belong to the whole process.</summary>
[Collection(Alone.Name)]
public sealed class FuzzingTests
{
    // Some of each, so that a change of a reader is tried on what it was not written for; folders and adapters take milliseconds for each.
    private const long Seed = 20_261;

    public static TheoryData<string> Targets => [.. FuzzTargets.Names];

    [Theory]
    [MemberData(nameof(Targets))]
    public void A_damaged_file_is_read_or_refused_by_name_and_place(string name)
    {
        Assert.SkipWhen(TestDevice.Current.type != TorchSharp.DeviceType.CPU, "The readers do not depend on the device.");
        using FuzzTarget target = FuzzTargets.Make(name);
        FuzzReport report = new FuzzRunner(target, Seed).Run(name is "folder" or "adapter" ? 150 : 1500);
        Assert.True(report.Failures.Count == 0, string.Join("\n\n", report.Failures.Select(failure => $"input {failure.Place}, made of {failure.Seed}: {failure.Problem}")));
        // A harness that refused all, or took all, would prove nothing.
        Assert.InRange(report.Accepted, report.Inputs / 50, report.Inputs);
        Assert.InRange(report.Rejected, report.Inputs / 10, report.Inputs);
    }

    [Fact]
    public void The_same_seed_gives_the_same_inputs()
    {
        using FuzzTarget one = FuzzTargets.Make("config"), other = FuzzTargets.Make("config");
        for (int place = 0; place < 100; place++) Assert.Equal(new FuzzRunner(one, 3).Make(place).Input, new FuzzRunner(other, 3).Make(place).Input);
        Assert.NotEqual(new FuzzRunner(one, 3).Make(1).Input, new FuzzRunner(one, 4).Make(1).Input);
    }

    [Fact]
    public void What_a_reader_must_not_do_is_found()
    {
        using var target = new BadTarget();
        FuzzReport report = new FuzzRunner(target, 1).Run(50);
        Assert.Equal(
            ["the seed was refused", "IndexOutOfRangeException is no rejection", "the message lacks the file's name 'file.bin'", "the message lacks the place in the file", "managed bytes were allocated for a file of 1"],
            BadTarget.Problems.Where(problem => report.Failures.Any(failure => failure.Problem.Contains(problem, StringComparison.Ordinal))));
        Assert.Equal(report.Inputs + 1, report.Failed + report.Accepted + report.Rejected); // the seed is one more
    }

    /// <summary>A reader with one fault for each of its inputs.</summary>
    private sealed class BadTarget : FuzzTarget
    {
        internal static readonly string[] Problems =
            ["the seed was refused", "IndexOutOfRangeException is no rejection", "the message lacks the file's name 'file.bin'", "the message lacks the place in the file", "managed bytes were allocated for a file of 1"];

        internal override string Name => "bad";

        internal override string Reads => "nothing";

        internal override IReadOnlyList<FuzzSeed> Seeds { get; } = [new("seed", [0])];

        internal override string PlaceName => "file.bin";

        internal override byte[] Mutate(FuzzSeed seed, FuzzRandom random) => [(byte)(1 + random.Next(5))];

        internal override void Read(FuzzSeed seed, byte[] input) => GC.KeepAlive(input[0] switch
        {
            0 => throw new InvalidDataException("file.bin: byte 0 is wrong."),
            1 => input[1],
            2 => throw new InvalidDataException("byte 3 is wrong."),
            3 => throw new InvalidDataException("file.bin: it is wrong."),
            4 => new byte[1 << 20],
            _ => null,
        });
    }
}
