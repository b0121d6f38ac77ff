namespace Lora.Llm.Loading;

/// <summary>Reads the tokens that end a text.</summary>
internal static class EndTokenReader
{
    /// <summary>Those of the <c>generation_config.json</c> beside the file where it names any, else the file's own; the family's where the file has no such field.</summary>
    internal static IReadOnlyList<int> Read(ConfigReader file, int? fallback)
    {
        string beside = Path.Combine(Path.GetDirectoryName(file.Path) ?? "", "generation_config.json");
        if (File.Exists(beside))
        {
            ConfigReader generation = ConfigReader.Open(beside);
            IReadOnlyList<int> ids = generation.TokenIds("eos_token_id");
            generation.ThrowIfWrong();
            if (ids.Count > 0) return ids;
        }
        return fallback is int id && !file.Says("eos_token_id") ? [id] : file.TokenIds("eos_token_id");
    }
}
