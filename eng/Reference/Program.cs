using Lora.Reference;
using Lora.Tests;

string root = RepositoryFolder.Root;
SortedDictionary<string, string> files = ReferenceFiles.All();
foreach (string old in ReferenceFiles.Existing(root).Where(path => !files.ContainsKey(path)))
{
    File.Delete(Path.Combine(root, old));
    Console.WriteLine($"removed {old}");
}

foreach ((string path, string text) in files)
{
    string file = Path.Combine(root, path);
    if (File.Exists(file) && File.ReadAllText(file) == text)
    {
        continue;
    }

    Directory.CreateDirectory(Path.GetDirectoryName(file)!);
    File.WriteAllText(file, text);
    Console.WriteLine($"wrote {path}");
}
