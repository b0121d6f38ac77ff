using static TorchSharp.torch;

namespace Lora.Serialization.Formats;

/// <summary>The form that everything here is made for.</summary>
/// <param name="form">Which of its forms.</param>
internal sealed class PeftFormat(PeftForm form = PeftForm.Usual) : AdapterFormat
{
    public override string ToString() => "PEFT";

    internal override SavedAdapter Open(string path, nn.Module model, WrapOptions options, KeyRenaming renaming)
    {
        AdapterFolder.ThrowIfMissing(path);
        AdapterFolder folder = AdapterFolder.Open(path);
        SavedAdapter? understood = null;
        try
        {
            return understood = folder.Understand(renaming);
        }
        finally
        {
            if (understood is null) folder.Dispose();
        }
    }

    internal override void Save(string path, AdapterToSave adapter) => adapter.SaveAsPeft(path, form);
}
