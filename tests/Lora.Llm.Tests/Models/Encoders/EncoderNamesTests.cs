using Lora.Tests;
using static TorchSharp.torch;

namespace Lora.Llm.Tests.Models.Encoders;

/// <summary>Old and bare spellings of an encoder's tensors give the same model.</summary>
public sealed class EncoderNamesTests
{
    [Theory]
    [InlineData("bert", typeof(SequenceClassifier))]
    [InlineData("bert", typeof(TokenClassifier))]
    [InlineData("bert", typeof(MaskedLanguageModel))]
    [InlineData("roberta", typeof(SequenceClassifier))]
    public void Norms_may_be_called_gamma_and_beta(string family, Type task)
    {
        int renamed = 0;
        using EncoderFolder folder = EncoderFolder.Of(family, task, tensors =>
        {
            foreach (string name in tensors.Keys.Where(name => name.Contains("LayerNorm", StringComparison.Ordinal)).ToArray())
            {
                tensors[name.Replace("LayerNorm.weight", "LayerNorm.gamma", StringComparison.Ordinal).Replace("LayerNorm.bias", "LayerNorm.beta", StringComparison.Ordinal)] = tensors[name];
                tensors.Remove(name);
                renamed++;
            }
        });
        Assert.True(renamed >= 10, $"{renamed}");
        Check(folder, family, task);
    }

    [Fact]
    public void Both_spellings_of_one_tensor_are_an_error()
    {
        using EncoderFolder folder = EncoderFolder.Of("bert", typeof(TokenClassifier), tensors => tensors["bert.embeddings.LayerNorm.gamma"] = tensors["bert.embeddings.LayerNorm.weight"]);
        string problem = Assert.Single(Assert.Throws<AdapterFormatException>(() => BertTokenClassifier.FromPretrained(folder.Path)).Problems);
        Assert.Matches("^tensors bert.embeddings.LayerNorm.(gamma and bert.embeddings.LayerNorm.weight|weight and bert.embeddings.LayerNorm.gamma) are both bert.embeddings.LayerNorm.weight$", problem);
    }

    // BertModel.save_pretrained writes no "bert." before its names, and no head: a new head begins on it.
    [Theory]
    [InlineData("bert")]
    [InlineData("roberta")]
    public void Names_may_lack_the_encoders_own(string family)
    {
        using EncoderFolder folder = EncoderFolder.Of(family, typeof(MaskedLanguageModel), tensors =>
        {
            foreach (string name in tensors.Keys.ToArray())
            {
                if (name.StartsWith($"{family}.", StringComparison.Ordinal)) tensors[name[(family.Length + 1)..]] = tensors[name];
                tensors.Remove(name);
            }
            tensors["embeddings.position_ids"] = arange(16).unsqueeze(0);
        });
        using nn.Module<TextInput, Tensor> whole = TinyEncoders.Make(family, typeof(MaskedLanguageModel), ScalarType.Float32);
        using var scope = NewDisposeScope();
        using var loaded = AutoModel.FromPretrained<TokenClassifier>(folder.Path, new PretrainedOptions { Labels = ["x", "y"], Device = TestDevice.Current });
        Dictionary<string, Tensor> wanted = whole.state_dict(), found = loaded.state_dict();
        string[] body = [.. wanted.Keys.Where(name => name.StartsWith($"{family}.", StringComparison.Ordinal))];
        Assert.True(body.Length > 30, $"{body.Length}");
        Assert.All(body, name => Assert.Equal(TinyLlama.Values(wanted[name]), TinyLlama.Values(found[name])));
        Assert.Equal([2, 18], found["classifier.weight"].shape);
        // Without labels the head is missing, and the report says how to begin one.
        IReadOnlyList<string> problems = Assert.Throws<AdapterFormatException>(() => AutoModel.FromPretrained<TokenClassifier>(Renamed(folder, family)).Dispose()).Problems;
        Assert.Equal("missing tensor classifier.weight, shape [4, 18]", problems[0]);
        Assert.Contains(nameof(PretrainedOptions.Labels), problems[^1], StringComparison.Ordinal);
    }

    // The same folder as one of the task that is asked for.
    private static string Renamed(EncoderFolder folder, string family)
    {
        folder.Write(family, typeof(TokenClassifier), _ => { });
        return folder.Path;
    }

    private static void Check(EncoderFolder folder, string family, Type task)
    {
        using nn.Module<TextInput, Tensor> wanted = TinyEncoders.Make(family, task, ScalarType.Float32);
        var options = new PretrainedOptions { Device = TestDevice.Current };
        using nn.Module<TextInput, Tensor> found = task == typeof(SequenceClassifier) ? AutoModel.FromPretrained<SequenceClassifier>(folder.Path, options)
            : task == typeof(TokenClassifier) ? AutoModel.FromPretrained<TokenClassifier>(folder.Path, options)
            : AutoModel.FromPretrained<MaskedLanguageModel>(folder.Path, options);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor ids = TinyEncoders.Ids(2, 5);
        Assert.Equal(TinyLlama.Values(wanted.call(ids)), TinyLlama.Values(found.call(ids)));
    }
}
