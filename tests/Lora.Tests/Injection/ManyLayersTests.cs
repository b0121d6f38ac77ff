using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Injection;

/// <summary>What a model is asked and told does not grow with the number of its layers for each of them.</summary>
public sealed class ManyLayersTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void A_module_is_asked_for_its_children_as_often_in_a_model_of_many_layers() => Assert.Equal(Of(3), Of(30));

    [Fact]
    public void A_list_keeps_its_order_and_the_modules_behind_its_layers()
    {
        using var model = new Listed(5);
        string[] names = [.. model.Layers.named_children().Select(child => child.name)];
        nn.Module[] modules = [.. model.Layers.named_children().Select(child => child.module)];
        using (LoraModel<Listed> lora = Adapted.Wrap(model, Adapted.Config with { ExcludedModules = ModuleSelector.EndsWith("1", "3") }))
        {
            Assert.Equal(["_layers.0", "_layers.2", "_layers.4"], lora.Layers.Select(layer => layer.Path));
            Assert.Equal(names, model.Layers.named_children().Select(child => child.name));
            Assert.Equal([true, false, true, false, true, false], model.Layers.Select((module, i) => !ReferenceEquals(module, modules[i])));
            lora.AddAdapter("second", Adapted.Config with { TargetModules = ModuleSelector.EndsWith("3") });
            lora.DeleteAdapter("default");
            Assert.Equal(names, model.Layers.named_children().Select(child => child.name));
            Assert.Equal([false, false, false, true, false, false], model.Layers.Select((module, i) => !ReferenceEquals(module, modules[i])));
        }
        Assert.Equal(names, model.Layers.named_children().Select(child => child.name));
        Assert.Equal(modules, model.Layers);
        Assert.Equal(modules, model.Layers.named_children().Select(child => child.module));
    }

    private static (int Children, int Registrations) Of(int layers)
    {
        using var model = new Listed(layers);
        (int children, int registrations) = (model.Last.Children, model.Last.Registrations);
        LoraModel.Explain(model, Adapted.Config);
        using (LoraModel<Listed> lora = Adapted.Wrap(model))
        {
            Assert.Equal(layers, lora.Layers.Count);
            model.call(ones([2, 4]));
        }
        return (model.Last.Children - children, model.Last.Registrations - registrations);
    }

    private sealed class Listed : nn.Module<Tensor, Tensor>
    {
        private readonly ModuleList<nn.Module<Tensor, Tensor>> _layers;

        public Listed(int layers)
            : base(nameof(Listed))
        {
            _layers = new ModuleList<nn.Module<Tensor, Tensor>>([.. Enumerable.Range(0, layers).Select(_ => (nn.Module<Tensor, Tensor>)nn.Linear(4, 4)), new Counting()]);
            RegisterComponents();
        }

        public Counting Last => (Counting)_layers[_layers.Count - 1];

        public ModuleList<nn.Module<Tensor, Tensor>> Layers => _layers;

        public override Tensor forward(Tensor input)
        {
            Tensor output = input;
            foreach (nn.Module<Tensor, Tensor> layer in _layers) output = layer.call(output);
            return output;
        }
    }

    private sealed class Counting() : nn.Module<Tensor, Tensor>(nameof(Counting))
    {
        public int Children { get; private set; }

        /// <summary>How often it was put into a list of children, which asks it for its components.</summary>
        public int Registrations { get; private set; }

        public override IEnumerable<(string name, nn.Module module)> named_children()
        {
            Children++;
            return base.named_children();
        }

        public override Tensor forward(Tensor input) => input.alias();

        protected override void RegisterComponents()
        {
            Registrations++;
            base.RegisterComponents();
        }
    }
}
