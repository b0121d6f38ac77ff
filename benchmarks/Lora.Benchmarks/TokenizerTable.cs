using System.Diagnostics;
using System.Globalization;
using System.Text;
using Lora.Llm;

namespace Lora.Benchmarks;

/// <summary>
/// <c>tokenizers FOLDER TEXT</c>: how fast every <c>tokenizer.json</c> named <c>*.json</c> in a folder is on a text, and how long it takes for a megabyte of one hostile thing. Ids alone
/// are asked for, on one thread.
/// </summary>
internal static class TokenizerTable
{
    private const int Megabyte = 1 << 20;
    private const int Repetitions = 5;

    private static readonly (string Name, string Unit, string End)[] _hostile =
    [
        ("a", "a", ""), ("blanks", " ", ""), ("blanks, then x", " ", "x"), ("newlines", "\n", ""), ("blank, newline", " \n", ""), ("digits", "7", ""), ("signs", "!", ""),
        ("a, blank", "a ", ""), ("ab", "ab", ""), ("emoji", "😀", ""), ("ideographs", "中", ""), ("combining marks", "\u0301\u0323", ""), ("half surrogates", "\uD800", ""), ("<|", "<|", ""),
    ];

    internal static void Run(string folder, string textFile, TextWriter output)
    {
        string text = File.ReadAllText(textFile);
        (string known, string other) = (text[..(text.Length / 2)], text[(text.Length / 2)..]);
        string[] files = [.. Directory.EnumerateFiles(folder, "*.json").Order(StringComparer.Ordinal)];
        output.WriteLine("| Tokenizer | tokens | first half of the text, MB/s | again | second half | with offsets |\n|---|---:|---:|---:|---:|---:|");
        foreach (string file in files)
        {
            HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.FromFile(file);
            // The code is compiled before it is measured, by another tokenizer, so that no word is known.
            for (int i = 0; i < Repetitions; i++) HuggingFaceTokenizer.FromFile(file).EncodeToIds(known);
            double first = Speed(tokenizer, known), again = Enumerable.Range(0, Repetitions).Max(_ => Speed(tokenizer, known)), second = Speed(tokenizer, other);
            double details = Enumerable.Range(0, Repetitions).Max(_ => Rate(known, () => tokenizer.Encode(known)));
            output.WriteLine(FormattableString.Invariant($"| {Path.GetFileNameWithoutExtension(file)} | {tokenizer.VocabularySize:N0} | {first:F1} | {again:F1} | {second:F1} | {details:F1} |"));
        }

        output.WriteLine($"\n| 1 MiB of, ms | {string.Join(" | ", files.Select(Path.GetFileNameWithoutExtension))} |\n|---|{string.Concat(files.Select(_ => "---:|"))}");
        HuggingFaceTokenizer[] tokenizers = [.. files.Select(HuggingFaceTokenizer.FromFile)];
        foreach ((string name, string unit, string end) in _hostile)
        {
            string hostile = new StringBuilder().Insert(0, unit, Megabyte / Encoding.UTF8.GetByteCount(unit)).Append(end).ToString();
            output.WriteLine($"| {name} | {string.Join(" | ", tokenizers.Select(tokenizer => Milliseconds(() => tokenizer.EncodeToIds(hostile)).ToString("F0", CultureInfo.InvariantCulture)))} |");
        }
    }

    private static double Speed(HuggingFaceTokenizer tokenizer, string text) => Rate(text, () => tokenizer.EncodeToIds(text));

    private static double Rate(string text, Action action) => Encoding.UTF8.GetByteCount(text) / 1e3 / Milliseconds(action);

    private static double Milliseconds(Action action)
    {
        long start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }
}
