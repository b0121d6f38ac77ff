using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Lora.Llm.Training.Checkpoints;

/// <summary>The file <c>training.json</c>: <c>{"sha256": the hash of what follows, "training": …}</c>.</summary>
/// <param name="Format">The version of the form.</param>
/// <param name="TotalSteps">The steps of the whole training.</param>
/// <param name="Batches">The position in the data: the batches that the steps have used up.</param>
/// <param name="Epoch">The same as passes over the data.</param>
/// <param name="LearningRate">The rate of the last step.</param>
/// <param name="State">Where the training has come to.</param>
/// <param name="Settings">What must be the same to go on, by name.</param>
/// <param name="Files">The hashes of the other files by their paths.</param>
internal sealed record CheckpointRecord(
    int Format, int TotalSteps, long Batches, double Epoch, double LearningRate, TrainingState State, IReadOnlyDictionary<string, string> Settings, IReadOnlyDictionary<string, string> Files)
{
    internal const string FileName = "training.json";
    internal const int CurrentFormat = 1;

    private static readonly JsonSerializerOptions _form = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        RespectRequiredConstructorParameters = true,
        RespectNullableAnnotations = true,
    };

    internal void Write(string path)
    {
        string text = JsonSerializer.Serialize(this, _form);
        using var stream = new FileStream(path, FileMode.CreateNew, FileAccess.Write);
        stream.Write(Encoding.UTF8.GetBytes($"{{\n\"sha256\": \"{Hash(text)}\",\n\"training\": {text}\n}}\n"));
        stream.Flush(flushToDisk: true);
    }

    /// <exception cref="InvalidDataException">The file is damaged, or of another form.</exception>
    internal static CheckpointRecord Read(string path)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path));
            if (document.RootElement.ValueKind != JsonValueKind.Object || !document.RootElement.TryGetProperty("training", out JsonElement training)
                || !document.RootElement.TryGetProperty("sha256", out JsonElement hash) || hash.ValueKind != JsonValueKind.String)
            {
                throw new InvalidDataException($"{FileName} is no object with \"sha256\" and \"training\"");
            }
            // Looked at before the hash: another version may compute it in another way.
            if (training.ValueKind == JsonValueKind.Object && training.TryGetProperty("format", out JsonElement format) && format.ValueKind == JsonValueKind.Number && format.GetRawText() != $"{CurrentFormat}")
                throw new InvalidDataException($"{FileName} is of the form {format.GetRawText()}, but this version reads {CurrentFormat}");
            if (hash.GetString() != Hash(training.GetRawText())) throw new InvalidDataException($"{FileName} holds other bytes than were written");
            return training.Deserialize<CheckpointRecord>(_form) ?? throw new InvalidDataException($"{FileName} holds nothing");
        }
        catch (JsonException exception)
        {
            throw new InvalidDataException($"{FileName} cannot be read: {exception.Message}", exception);
        }
    }

    private static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
}
