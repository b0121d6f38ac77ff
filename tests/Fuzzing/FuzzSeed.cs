namespace Lora.Fuzzing;

/// <summary>A valid file that damaged ones are made of.</summary>
/// <param name="Name">What it is called in reports.</param>
/// <param name="Bytes">Its bytes.</param>
/// <param name="Variant">What else a target has to know of it, such as how it is read.</param>
internal sealed record FuzzSeed(string Name, byte[] Bytes, int Variant = 0);
