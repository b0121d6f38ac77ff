using System.Text.Json;
using Lora.Export.Gguf;
using Lora.Llm.Tokenization;

namespace Lora.Llm.Export;

/// <summary>Writes the chat templates of a folder: <c>chat_template.jinja</c>, or those that <c>tokenizer_config.json</c> holds.</summary>
internal static class GgufChatTemplate
{
    private const string Key = "tokenizer.chat_template";

    internal static void AddTo(GgufWriter writer, string folder)
    {
        string alone = Path.Combine(folder, "chat_template.jinja"), config = Path.Combine(folder, "tokenizer_config.json");
        if (File.Exists(alone))
        {
            writer.Add(Key, File.ReadAllText(alone));
            return;
        }
        if (!File.Exists(config)) return;
        using JsonDocument document = JsonPart.Parse(config, File.ReadAllBytes(config));
        var root = new JsonPart(config, "", document.RootElement);
        if (root.Optional("chat_template") is not JsonPart template) return;
        if (template.Element.ValueKind == JsonValueKind.String)
        {
            writer.Add(Key, template.AsString());
            return;
        }
        // Several by name, of which one is the usual.
        var others = new List<string>();
        foreach (JsonPart item in template.Items())
        {
            string name = item.String("name");
            writer.Add(name == "default" ? Key : $"{Key}.{name}", item.String("template"));
            if (name != "default") others.Add(name);
        }
        if (others.Count > 0) writer.Add("tokenizer.chat_templates", others.ToArray());
    }
}
