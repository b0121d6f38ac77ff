using Lora.Initialization;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Initialization;

/// <summary>Random numbers of a start, and what is left of it.</summary>
[Collection(Alone.Name)]
public sealed class StartChanceTests
{
    [Theory]
    [InlineData(Start.PissaRandomized)]
    [InlineData(Start.LoraGa)]
    [InlineData(Start.LoraGaRandom)]
    public void A_seeded_start_can_be_repeated_and_leaves_the_global_generator_alone(Start start)
    {
        using var scope = NewDisposeScope();
        Tensor Make(long seed)
        {
            nn.Module<Tensor, Tensor> model = Starts.Model();
            AdapterInitialization initialization = Starts.Of(start, model) switch
            {
                PissaInitialization pissa => pissa with { Seed = seed },
                LoraGaInitialization gradient => gradient with { Seed = seed },
                var other => other,
            };
            // Drawn before the start is set, as a layer's own values.
            random.manual_seed(1);
            using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, Starts.Config with { Initialization = initialization });
            return lora.Layers[0].Layer.Adapter.A.detach().clone();
        }
        Tensor first = Make(5);
        Tensor after = rand(3);
        Adapted.AssertSame(first, Make(5));
        Adapted.AssertSame(after, rand(3));
        nn.Module<Tensor, Tensor> other = Starts.Model();
        random.manual_seed(1);
        using LoraModel<nn.Module<Tensor, Tensor>> plain = LoraModel.Wrap(other, Starts.Config with { Initialization = AdapterInitialization.Pissa });
        Adapted.AssertSame(after, rand(3));
    }

    [Theory]
    [InlineData(Start.Pissa)]
    [InlineData(Start.Eva)]
    [InlineData(Start.Corda)]
    [InlineData(Start.LoraGa)]
    [InlineData(Start.Mica)]
    public void Nothing_is_left_alive(Start start)
    {
        using nn.Module<Tensor, Tensor> model = Starts.Model();
        using Tensor input = Starts.Input();
        LoraConfig config = Starts.With(start, model);
        Leaks.AssertNone(20, () =>
        {
            using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, config);
            model.call(input).Dispose();
            lora.Merge();
            lora.Unmerge();
        });
        if (!start.ChangesBase()) return;
        Leaks.AssertNone(20, () =>
        {
            using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, config with { Initialization = config.Initialization with { WritesBase = true } });
            using (lora.Disable()) model.call(input).Dispose();
        });
    }
}
