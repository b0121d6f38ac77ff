using System.Globalization;
using System.Text.RegularExpressions;

namespace Lora.Llm.Tests.Models.Approved;

/// <summary>
/// What a model of full size must look like, in a text file: <c>#</c> begins a remark, <c>task: NAME</c> and <c>parameters: N</c> say what they say, <c>lora: r=R targets=A,B</c> with
/// <c>trainable=N all=N</c> what PEFT prints for a setting, and every other line is a tensor, where <c>{0..31}</c> stands for each of these numbers.
/// </summary>
internal sealed partial class ApprovedListing
{
    private static readonly string[] _buffers = [".running_mean", ".running_var", ".num_batches_tracked"];

    private readonly List<(string Name, long[] Shape)> _tensors = [];

    private ApprovedListing(IEnumerable<string> lines)
    {
        foreach (string line in lines.Where(line => line.Length > 0 && line[0] != '#'))
        {
            if (line.StartsWith("task: ", StringComparison.Ordinal)) Task = line[6..];
            else if (line.StartsWith("parameters: ", StringComparison.Ordinal)) Parameters = long.Parse(line[12..], CultureInfo.InvariantCulture);
            else if (line.StartsWith("lora: ", StringComparison.Ordinal)) Settings.Add(new Setting(line[6..].Split(' ').Select(part => part.Split('=')).ToDictionary(part => part[0], part => part[1])));
            else Add(line);
        }
    }

    public string Task { get; } = "";

    /// <summary>The published number.</summary>
    public long Parameters { get; }

    public List<Setting> Settings { get; } = [];

    /// <summary>Name and shape of each tensor, in order.</summary>
    public IEnumerable<string> Tensors => _tensors.Select(tensor => $"{tensor.Name} [{string.Join(", ", tensor.Shape)}]").Order(StringComparer.Ordinal);

    /// <summary>The elements of all tensors but buffers.</summary>
    public long Elements => _tensors.Where(tensor => !_buffers.Any(tensor.Name.EndsWith)).Sum(tensor => Product(tensor.Shape));

    public static ApprovedListing Read(string path) => new(File.ReadLines(path));

    /// <summary>What a setting trains: for each matrix in × out r · (in + out), and the modules that are trained whole.</summary>
    public long Trainable(Setting setting) => _tensors.Sum(tensor =>
    {
        string path = tensor.Name[..tensor.Name.LastIndexOf('.')];
        if (setting.Saved is string saved && (path == saved || path.StartsWith($"{saved}.", StringComparison.Ordinal))) return Product(tensor.Shape);
        bool isTarget = tensor.Name.EndsWith(".weight", StringComparison.Ordinal) && setting.Modules.Contains(path[(path.LastIndexOf('.') + 1)..]);
        return isTarget ? setting.Rank * (tensor.Shape[0] + Product(tensor.Shape.AsSpan(1))) : 0;
    });

    private static long Product(ReadOnlySpan<long> shape)
    {
        long product = 1;
        foreach (long size in shape) product *= size;
        return product;
    }

    private void Add(string line)
    {
        if (Range().Match(line) is { Success: true } range)
        {
            for (int i = int.Parse(range.Groups[1].Value, CultureInfo.InvariantCulture); i <= int.Parse(range.Groups[2].Value, CultureInfo.InvariantCulture); i++)
                Add($"{line[..range.Index]}{i}{line[(range.Index + range.Length)..]}");
            return;
        }
        string[] parts = line.Split(" [");
        _tensors.Add((parts[0], [.. parts[1].TrimEnd(']').Split(", ", StringSplitOptions.RemoveEmptyEntries).Select(size => long.Parse(size, CultureInfo.InvariantCulture))]));
    }

    [GeneratedRegex(@"\{(\d+)\.\.(\d+)\}")]
    private static partial Regex Range();

    /// <summary>An adapter and what PEFT prints of it.</summary>
    internal sealed class Setting(Dictionary<string, string> fields)
    {
        public int Rank { get; } = int.Parse(fields["r"], CultureInfo.InvariantCulture);

        public bool AllLinear { get; } = fields["targets"] == "all-linear";

        /// <summary>The last names of the modules that get an adapter.</summary>
        public string[] Modules { get; } = fields[fields["targets"] == "all-linear" ? "modules" : "targets"].Split(',');

        /// <summary>The module that is trained whole.</summary>
        public string? Saved { get; } = fields.GetValueOrDefault("save");

        public ParameterCounts Counts { get; } = new(long.Parse(fields["trainable"], CultureInfo.InvariantCulture), long.Parse(fields["all"], CultureInfo.InvariantCulture));
    }
}
