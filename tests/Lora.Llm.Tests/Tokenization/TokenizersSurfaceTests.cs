using Lora.Tests;
using Microsoft.ML.Tokenizers;

namespace Lora.Llm.Tests.Tokenization;

/// <summary>The stand-in for Microsoft.ML.Tokenizers has nothing that the package does not have in exactly that form.</summary>
public sealed class TokenizersSurfaceTests(ITestOutputHelper output)
{
    [Fact]
    public void Every_member_is_one_of_the_packages()
    {
        string list = Path.Combine(RepositoryFolder.Root, "tests", "Lora.Llm.Tests", "Tokenization", "microsoft-ml-tokenizers-2.0.txt");
        var package = File.ReadLines(list).ToHashSet(StringComparer.Ordinal);
        SortedSet<string> ours = ApiDump.Lines(typeof(Tokenizer).Assembly);
        output.WriteLine($"{ours.Count} of the package's {package.Count} lines.");
        Assert.Contains("Microsoft.ML.Tokenizers.Tokenizer :: type public abstract class", ours);
        Assert.Equal([], ours.Except(package));
    }

    [Fact]
    public void The_tokenizer_itself_is_whole()
    {
        const string Prefix = "Microsoft.ML.Tokenizers.Tokenizer :: ";
        string list = Path.Combine(RepositoryFolder.Root, "tests", "Lora.Llm.Tests", "Tokenization", "microsoft-ml-tokenizers-2.0.txt");
        SortedSet<string> ours = ApiDump.Lines(typeof(Tokenizer).Assembly);
        Assert.Equal([], File.ReadLines(list).Where(line => line.StartsWith(Prefix, StringComparison.Ordinal)).Except(ours));
    }
}
