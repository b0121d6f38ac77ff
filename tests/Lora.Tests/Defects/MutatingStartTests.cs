using Lora.Initialization;
using Lora.Tests.Initialization;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Defects;

/// <summary>Starts that are a part of the base weights. PEFT changes the weights for them, once more at each load, and lets other adapters run on what is left.</summary>
public sealed class MutatingStartTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(Start.Pissa)]
    [InlineData(Start.PissaRandomized)]
    [InlineData(Start.Olora)]
    [InlineData(Start.Corda)]
    public void Defect12_Such_a_start_is_loaded_without_being_made_again_and_mixes_with_other_adapters(Start start)
    {
        nn.Module<Tensor, Tensor> model = Starts.Model();
        Tensor input = Starts.Input(), plain = model.call(input);
        IReadOnlyList<(string, string)> weights = Adapted.Weights(model);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = Adapted.Wrap(model, Starts.With(start, model));
        Tensor trained = model.call(input);
        lora.Save(_folder.Path);

        // Loaded twice beside an ordinary adapter: each is right, alone and together, and the base is untouched.
        nn.Module<Tensor, Tensor> fresh = Starts.Model();
        using (LoraModel<nn.Module<Tensor, Tensor>> loaded = Adapted.Wrap(fresh, Starts.Config))
        {
            Tensor ordinary = fresh.call(input);
            loaded.LoadAdapter("first", _folder.Path);
            loaded.LoadAdapter("second", _folder.Path);
            foreach (string name in (string[])["first", "second"])
            {
                using IDisposable use = loaded.Use(name);
                Adapted.AssertRelativelyClose(trained, fresh.call(input));
            }
            Adapted.AssertSame(ordinary, fresh.call(input));
            using (loaded.Disable()) Adapted.AssertSame(plain, fresh.call(input));
        }
        Assert.Equal(weights, Adapted.Weights(fresh));
    }
}
