using System.Xml.Linq;
using Lora.Tests;

namespace Lora.Samples.Tests;

/// <summary>Each sample runs to its end with few steps, says what it has to say, and writes files that can be read.</summary>
public sealed class SampleTests
{
    private static readonly string[] s_adapter = ["adapter_config.json", "adapter_model.safetensors"];

    [Fact]
    public Task Fine_tuning() => Check(
        "01.FineTune", "--steps 2 --batch 4 --matches 2 --eval-rows 8 --out out", ["out/loss.svg"],
        "trainable params: ", "step 2/2  loss ", "exact match of 2", "Wrote to out:", "Merged and unmerged logits differ by at most ");

    [Fact]
    public Task Fine_tuning_of_another_family()
    {
        string other = Path.Combine(RepositoryFolder.Root, "samples", "06.Gpt2"), data = Path.Combine(other, "data");
        return Check(
            "01.FineTune", $"--model {Path.Combine(other, "model")} --data {Path.Combine(data, "train.jsonl")} --eval {Path.Combine(data, "eval.jsonl")} --steps 1 --batch 2 --eval-rows 4 --length 12 --out out", ["out/loss.svg"],
            "400 examples to learn, 4 held out.", "step 1/1  loss ", "Merged and unmerged logits differ by at most ");
    }

    [Fact]
    public Task Inspection() => Check("02.Inspect", "--steps 1 --rows 3 --out map.svg", ["map.svg"], "Trained an adapter on ", "These 3 of 14 weights moved most.", "Wrote the heat map of all of them to map.svg");

    [Fact]
    public Task Classification() => Check(
        "03.Classify", "--steps 2 --examples 6 --held-out 12 --out out", ["out/confusion.svg", "out/loss.svg"],
        "6 reviews to learn; 12 held out", "trainable params: ", "step 2/2  loss ", "Right on held-out reviews: ", "Loaded on a fresh base, the adapter gives 12 of 12 answers as before.");

    [Fact]
    public async Task Images()
    {
        using var folder = new TemporaryFolder();
        await Check(
            folder, "04.Images", "--steps 2 --examples 10 --held-out 15 --out out", ["out/confusion.svg", "out/pictures.svg", "out/loss.svg"],
            "10 pictures of star, heart, moon, arrow, hourglass to learn, 15 held out; 9 convolutions get an adapter.", "Loaded on a fresh base, the adapter gives 15 of 15 answers as before.");
        XName image = XName.Get("image", "http://www.w3.org/2000/svg");
        XElement[] pictures = [.. XDocument.Load(folder["out/pictures.svg"]).Descendants(image)];
        Assert.Equal(15, pictures.Length);
        Assert.All(pictures, picture => Assert.Equal("BM"u8, Convert.FromBase64String(picture.Attribute("href")!.Value["data:image/bmp;base64,".Length..]).AsSpan(0, 2)));
    }

    [Fact]
    public Task Chat() => Check("05.Chat", "--steps 1 --batch 2 --replies 1 --out out", ["out/loss.svg"], "400 conversations of ", "step 1/1  loss ", "Exact replies: ", "Held-out loss ");

    [Fact]
    public Task Letters() => Check(
        "06.Gpt2", "--steps 1 --batch 2 --letters 2 --out out", ["out/loss.svg"],
        "400 texts to learn, 64 held out.", "step 1/1  loss ", "Texts in the form of a letter: 0 before, ", "Held-out perplexity ", "Wrote adapter_config.json, adapter_model.safetensors and loss.svg to out");

    [Theory]
    [InlineData("00.PretrainBase", "--steps 1 --batch 1 --out out", "out/model", "Held-out perplexity ")]
    [InlineData("00.PretrainBase", "--family gpt2 --steps 1 --batch 1 --out out", "out/model", "Held-out perplexity ")]
    [InlineData("03.Classify", "--pretrain out --steps 1", "out", "82,051 parameters; ")]
    [InlineData("04.Images", "--pretrain out --steps 1", "out", "79,702 parameters; ")]
    public async Task Base_models(string sample, string arguments, string model, string line)
    {
        using var folder = new TemporaryFolder();
        SampleResult result = await SampleProgram.RunAsync(sample, folder.Path, arguments.Split(' '));
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        Assert.Contains(line, result.Output, StringComparison.Ordinal);
        Assert.True(File.Exists(folder[$"{model}/config.json"]) && new FileInfo(folder[$"{model}/model.safetensors"]).Length > 100_000);
    }

    private static async Task Check(string sample, string arguments, string[] pictures, params string[] lines)
    {
        using var folder = new TemporaryFolder();
        await Check(folder, sample, arguments, pictures, lines);
    }

    private static async Task Check(TemporaryFolder folder, string sample, string arguments, string[] pictures, params string[] lines)
    {
        SampleResult result = await SampleProgram.RunAsync(sample, folder.Path, arguments.Split(' '));
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        Assert.All(lines, line => Assert.Contains(line, result.Output, StringComparison.Ordinal));
        Assert.All(pictures, picture =>
        {
            XElement root = XDocument.Load(folder[picture]).Root!;
            Assert.Equal("svg", root.Name.LocalName);
            Assert.True(root.Elements().Count() > 5);
        });
        if (arguments.EndsWith("--out out", StringComparison.Ordinal)) Assert.All(s_adapter, name => Assert.True(new FileInfo(folder[$"out/{name}"]).Length > 300));
        Assert.DoesNotContain(Directory.EnumerateFiles(folder.Path, "*.tmp", SearchOption.AllDirectories), _ => true);
    }
}
