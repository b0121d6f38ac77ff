namespace Lora.Llm.Loading;

/// <summary>Reads the tokens that end a text.</summary>
internal static class EndTokenReader
{
    /// <summary>Those of the <c>generation_config.json</c> beside the file where it names any, else the file's own.</summary>
    internal static IReadOnlyList<int> Read(ConfigReader file)
    {
        string beside = Path.Combine(Path.GetDirectoryName(file.Path) ?? "", "generation_config.json");
        if (File.Exists(beside))
        {
            ConfigReader generation = ConfigReader.Open(beside);
            IReadOnlyList<int> ids = generation.TokenIds("eos_token_id");
            generation.ThrowIfWrong();
            if (ids.Count > 0) return ids;
        }
        return file.TokenIds("eos_token_id");
    }
}
