using System.Text;

namespace Lora.Llm.Tokenization;

/// <summary>The tokens <c>&lt;0x00&gt;</c> to <c>&lt;0xFF&gt;</c> of a vocabulary, into which unknown text can fall apart.</summary>
internal sealed class ByteTokens
{
    private readonly int[] _ids = new int[256];

    public ByteTokens(ModelVocabulary vocabulary)
    {
        for (int value = 0; value < _ids.Length; value++)
        {
            _ids[value] = vocabulary.TryGetId($"<0x{value:X2}>", out int id) ? id : -1;
        }
    }

    /// <summary>The ids of the text's UTF-8 bytes, or null where the vocabulary lacks one of them.</summary>
    public int[]? Find(string text)
    {
        int[] found = Array.ConvertAll(Encoding.UTF8.GetBytes(text), value => _ids[value]);
        return Array.Exists(found, id => id < 0) ? null : found;
    }
}
