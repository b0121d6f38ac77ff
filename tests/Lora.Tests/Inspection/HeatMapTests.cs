using System.Globalization;
using System.Xml.Linq;

namespace Lora.Tests.Inspection;

/// <summary>The picture of an adapter: one cell for each weight at its block and kind, with numbers, titles and a legend.</summary>
public sealed class HeatMapTests
{
    private static readonly XNamespace _svg = "http://www.w3.org/2000/svg";

    private static AdapterInspection Sample { get; } = new(
        "a<b",
        [
            Layer("model.embed_tokens", 0.5, 10), Layer("model.layers.0.self_attn.q_proj", 1, 4), Layer("model.layers.0.mlp.up_proj", 2, 4), Layer("model.layers.1.self_attn.q_proj", 4, 4),
            Layer("model.layers.1.moe.up", 3, 4, "expert 0"), Layer("model.layers.1.moe.up", 0, 4, "expert 1"),
        ],
        []);

    [Fact]
    public void Cells_stand_at_their_blocks_and_kinds()
    {
        XElement root = XDocument.Parse(Sample.ToSvg()).Root!;
        XElement[] cells = [.. root.Elements(_svg + "g")];
        Assert.Equal(
            [
                "model.embed_tokens (Linear): ‖ΔW‖ 0.5, ‖W‖ 10, ratio 0.05, spectral norm 0.5, effective rank 1, 1 of rank 2 significant, scale 1.5",
                "model.layers.1.moe.up expert 1 (Linear): ‖ΔW‖ 0, ‖W‖ 4, ratio 0, spectral norm 0, effective rank 0, 1 of rank 2 significant, scale 1.5",
            ],
            new[] { cells[0], cells[5] }.Select(cell => cell.Element(_svg + "title")!.Value));
        Assert.Equal(["0.05", "0.25", "0.5", "1", "0.75", "0"], cells.Select(cell => cell.Element(_svg + "text")!.Value));
        int[] rows = [.. cells.Select(cell => Number(cell, "y"))], columns = [.. cells.Select(cell => Number(cell, "x"))];
        Assert.Equal([0, 1, 1, 2, 2, 2], rows.Select(row => rows.Distinct().Order().ToList().IndexOf(row)));
        Assert.Equal([0, 1, 2, 1, 3, 4], columns.Select(column => columns.Distinct().Order().ToList().IndexOf(column)));
        string[] texts = [.. root.Elements(_svg + "text").Select(text => text.Value)];
        Assert.Equal(
            ["Adapter a<b: ‖ΔW‖ / ‖W‖", "model.embed_tokens", "self_attn.q_proj", "mlp.up_proj", "moe.up expert 0", "moe.up expert 1", "–", "model.layers.0", "model.layers.1", "0", "0.25", "0.5", "0.75", "1", "‖ΔW‖ / ‖W‖"],
            texts);
    }

    [Fact]
    public void The_darkest_is_the_largest_and_text_can_be_read_on_it()
    {
        (string? Fill, string? Text)[] cells = [.. XDocument.Parse(Sample.ToSvg()).Root!.Elements(_svg + "g").Select(cell => (cell.Element(_svg + "rect")!.Attribute("fill")?.Value, cell.Element(_svg + "text")!.Attribute("fill")?.Value))];
        Assert.Equal(("#08306b", "#ffffff"), cells[3]);
        Assert.Equal(("#f7fbff", "#000000"), cells[5]);
        Assert.Equal(("#c6dbef", "#000000"), cells[1]);
        Assert.Equal(("#6baed6", "#000000"), cells[2]);
    }

    [Theory]
    [InlineData(InspectionMeasure.RelativeNorm, "‖ΔW‖ / ‖W‖", "1")]
    [InlineData(InspectionMeasure.DeltaNorm, "‖ΔW‖", "4")]
    [InlineData(InspectionMeasure.SpectralNorm, "spectral norm of ΔW", "4")]
    [InlineData(InspectionMeasure.EffectiveRank, "effective rank of ΔW", "1")]
    public void The_measure_is_chosen_and_the_picture_is_the_same_in_every_culture(InspectionMeasure measure, string text, string largest)
    {
        string svg = Sample.ToSvg(measure);
        string[] texts = [.. XDocument.Parse(svg).Root!.Elements(_svg + "text").Select(element => element.Value)];
        Assert.Equal((text, largest), (texts[^1], texts[^2]));
        CultureInfo before = CultureInfo.CurrentCulture;
        try
        {
            var commas = (CultureInfo)CultureInfo.InvariantCulture.Clone();
            commas.NumberFormat.NumberDecimalSeparator = ",";
            CultureInfo.CurrentCulture = commas;
            Assert.Equal(svg, Sample.ToSvg(measure));
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
        Assert.DoesNotContain('\r', svg);
    }

    [Fact]
    public void Cells_lie_within_the_picture_and_do_not_overlap()
    {
        XElement root = XDocument.Parse(Sample.ToSvg()).Root!;
        int width = int.Parse(root.Attribute("width")!.Value, CultureInfo.InvariantCulture), height = int.Parse(root.Attribute("height")!.Value, CultureInfo.InvariantCulture);
        (int X, int Y)[] cells = [.. root.Elements(_svg + "g").Select(cell => (Number(cell, "x"), Number(cell, "y")))];
        Assert.Equal(cells.Length, cells.Distinct().Count());
        Assert.All(cells, cell => Assert.True(cell.X > 0 && cell.Y > 0 && cell.X + 64 <= width && cell.Y + 22 <= height));
    }

    [Fact]
    public void An_adapter_without_layers_and_one_of_zeros_can_be_drawn()
    {
        Assert.Empty(XDocument.Parse(new AdapterInspection("none", [], []).ToSvg()).Root!.Elements(_svg + "g"));
        XElement cell = Assert.Single(XDocument.Parse(new AdapterInspection("zero", [Layer("x", 0, 0)], []).ToSvg()).Root!.Elements(_svg + "g"));
        Assert.Equal("0", cell.Element(_svg + "text")!.Value);
        Assert.Throws<InvalidOperationException>(() => Sample.ToSvg((InspectionMeasure)9));
    }

    [Fact]
    public void It_is_written_whole()
    {
        using var folder = new TemporaryFolder();
        Sample.SaveSvg(folder["map.svg"], InspectionMeasure.DeltaNorm);
        Assert.Equal(Sample.ToSvg(InspectionMeasure.DeltaNorm), File.ReadAllText(folder["map.svg"]));
        Assert.Single(Directory.GetFiles(folder.Path));
    }

    private static LayerInspection Layer(string path, double singular, double weight, string? part = null) => new(path, part, "Linear", 2, 1.5, weight, [singular, 0], 1);

    private static int Number(XElement cell, string attribute) => int.Parse(cell.Element(_svg + "rect")!.Attribute(attribute)!.Value, CultureInfo.InvariantCulture);
}
