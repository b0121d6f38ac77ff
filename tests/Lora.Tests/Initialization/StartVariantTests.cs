using Lora.Initialization;
using Lora.Layers;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Initialization;

/// <summary>Starts together with DoRA.</summary>
public sealed class StartVariantTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static IEnumerable<TheoryDataRow<Start>> Plain => Enum.GetValues<Start>().Where(start => !start.ChangesBase()).Select(start => new TheoryDataRow<Start>(start));

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Plain))]
    public void A_fresh_magnitude_changes_nothing(Start start)
    {
        nn.Module<Tensor, Tensor> model = Starts.Model(transposed: true);
        Tensor input = Starts.Input(), plain = model.call(input);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, Starts.With(start, model) with { UseDora = true });
        Adapted.AssertRelativelyClose(plain, model.call(input));
    }

    [Fact]
    public void A_magnitude_is_measured_with_a_start_that_adds_something()
    {
        nn.Module<Tensor, Tensor> model = Starts.Model();
        Tensor input = Starts.Input();
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, Starts.Config with { Initialization = AdapterInitialization.TorchDefault, UseDora = true });
        Tensor with = model.call(input);
        // m = ‖W + s·B·A‖, so that the layer computes (W + s·B·A)·x + b.
        foreach (AdapterLayer layer in lora.Layers)
        {
            var linear = (LoraLinear)layer.Layer;
            using var noGrad = no_grad();
            linear.OriginalWeight.add_(linear.Adapter.ComputeDelta());
        }
        using (lora.Disable()) Adapted.AssertRelativelyClose(with, model.call(input));
    }

    [Fact]
    public void A_written_start_gives_way_to_a_magnitude()
    {
        nn.Module<Tensor, Tensor> model = Starts.Model(), untouched = Starts.Model();
        Tensor input = Starts.Input();
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, Starts.Config with { Initialization = AdapterInitialization.Pissa with { WritesBase = true } });
        lora.AddAdapter("dora", Starts.Config with { UseDora = true });
        using LoraModel<nn.Module<Tensor, Tensor>> alone = LoraModel.Wrap(untouched, Starts.Config with { UseDora = true });
        Assert.All(lora.Layers.Zip(alone.Layers), pair => Adapted.AssertSame(pair.Second.Layer.Adapter.FileTensors[^1].Value, pair.First.Layer.Adapters["dora"].FileTensors[^1].Value));
        lora.SetActive("default", "dora");
        Assert.All(lora.Layers, layer => Assert.False(((LinearAdapter)layer.Layer.Adapters["default"]).IsStartInBase));
        Adapted.AssertRelativelyClose(untouched.call(input), model.call(input));
        lora.SetActive("default");
        Assert.All(lora.Layers, layer => Assert.True(((LinearAdapter)layer.Layer.Adapters["default"]).IsStartInBase));
    }

    [Fact]
    public void A_start_that_is_a_part_of_the_base_is_refused() => Assert.Equal(
        "The adapter's configuration cannot be used:\n  - UseDora is set, which does not go with init_lora_weights \"pissa\": a magnitude is measured on the whole weight, of which such a start takes a part off.",
        Assert.Throws<ArgumentException>(() => (Starts.Config with { UseDora = true, Initialization = AdapterInitialization.Pissa }).Validate()).Message);

    [Fact]
    public void A_magnitude_has_no_place_in_files_of_kohya_and_diffusers()
    {
        using var folder = new TemporaryFolder();
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(Starts.Model(), Starts.Config with { UseDora = true });
        foreach (AdapterFormat format in (AdapterFormat[])[AdapterFormat.Kohya("lora_unet"), AdapterFormat.Diffusers()])
            Assert.Contains("use_dora is set, and there is no place for lora_magnitude_vector", Assert.Throws<InvalidOperationException>(() => lora.SaveAdapter("default", folder["x.safetensors"], format)).Message, StringComparison.Ordinal);
    }
}
