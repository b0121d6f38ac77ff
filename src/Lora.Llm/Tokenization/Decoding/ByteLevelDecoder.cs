using System.Runtime.InteropServices;
using System.Text;

namespace Lora.Llm.Tokenization;

/// <summary>Reads GPT-2's alphabet back into bytes and these as UTF-8. A token that holds anything else stands for itself.</summary>
internal sealed class ByteLevelDecoder : TokenDecoder
{
    public override IReadOnlyList<string> Decode(IReadOnlyList<string> tokens)
    {
        var bytes = new List<byte>();
        foreach (string token in tokens)
        {
            if (!ByteAlphabet.TryAppendBytes(token, bytes))
            {
                bytes.AddRange(Encoding.UTF8.GetBytes(token));
            }
        }

        return [Encoding.UTF8.GetString(CollectionsMarshal.AsSpan(bytes))];
    }
}
