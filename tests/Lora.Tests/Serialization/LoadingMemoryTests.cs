using System.Reflection;
using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Serialization;

/// <summary>Loading fills the adapters from the file right where they live: nothing is drawn, and no second copy of all of them exists. Alone, since memory and the generator are everybody's.</summary>
[Collection(Alone.Name)]
public sealed class LoadingMemoryTests
{
    private const long Width = 700;
    private static readonly Type? _native = typeof(torch).Assembly.GetType("TorchSharp.Interop.Native");

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    public void No_more_is_allocated_than_the_adapter_and_one_tensor(ScalarType type)
    {
        Assert.SkipWhen(_native is null || TestDevice.Current.type != DeviceType.CPU, "Only SystemTorch tells how much memory was allocated on the CPU.");
        using DisposeScope scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using (LoraModel<FieldModel> saved = Adapted.Wrap(Model(), Config, new WrapOptions { UpcastAdapters = type == ScalarType.Float32 }))
        {
            if (type == ScalarType.BFloat16) saved.Model.to(type);
            saved.Save(folder.Path);
        }
        FieldModel model = Model();
        Native("st_count_allocations", 1);
        try
        {
            long before = (long)Native("st_allocated_now")!;
            Native("st_reset_peak");
            using LoraModel<FieldModel> lora = LoraModel.Load(model, folder.Path);
            long adapter = lora.TrainableParameters().Sum(parameter => parameter.numel() * parameter.element_size());
            long largest = lora.TrainableParameters().Max(parameter => parameter.numel() * parameter.element_size());
            long peak = (long)Native("st_allocated_peak")! - before;
            // Alignment and the tokens' few numbers are all that comes on top.
            Assert.InRange(peak, adapter, adapter + (type == ScalarType.Float32 ? 0 : largest) + 4096);
        }
        finally
        {
            Native("st_count_allocations", 0);
        }
    }

    [Fact]
    public void The_global_generator_stays_where_it_was()
    {
        using DisposeScope scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        foreach (LayerKind kind in Enum.GetValues<LayerKind>())
        {
            nn.Module<Tensor, Tensor> model = TestModels.Make(Holder.Field, kind);
            using (LoraModel<nn.Module<Tensor, Tensor>> saved = Adapted.Wrap(model, kind.Config(model), kind.Options(model))) saved.Save(folder.Path);
            using var generator = Generator.Default;
            byte[] before = Adapted.Bits(generator.get_state());
            using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Load(model, folder.Path, kind.Options(model));
            Assert.Equal(before, Adapted.Bits(generator.get_state()));
        }
    }

    private static LoraConfig Config => LoraConfig.AllLinear(rank: 48, alpha: 20) with { Bias = BiasKind.LoraOnly, UseLoraBias = true };

    private static FieldModel Model() => new(nn.Linear(Width, Width), nn.Linear(Width, Width));

    private static object? Native(string name, params object[] arguments) => _native!.GetMethod(name, BindingFlags.Static | BindingFlags.NonPublic)!.Invoke(null, arguments);
}
