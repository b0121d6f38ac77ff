using System.Text.Json;
using Lora.Layers;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Golden;

/// <summary>Carries out the runs of a case: rebuilds the base, loads the adapter, computes in the run's mode and compares.</summary>
internal abstract class GoldenRunner<TModel>(GoldenCase golden)
    where TModel : nn.Module
{
    protected GoldenCase Golden { get; } = golden;

    /// <summary>The base model with its weights, in evaluation mode.</summary>
    protected abstract TModel Build();

    /// <summary>What the model's layers do not tell by themselves.</summary>
    protected virtual WrapOptions Options => new();

    /// <summary>Under which name a model of ours lists a weight of the reference's.</summary>
    protected virtual string StateName(string name) => name;

    protected abstract Tensor Forward(TModel model, IReadOnlyDictionary<string, Tensor> inputs);

    public void RunAll()
    {
        foreach (JsonElement run in Golden.Runs) Run(run);
    }

    private void Run(JsonElement run)
    {
        if (run.TryGetProperty("statistical_only", out JsonElement drawn) && drawn.GetBoolean()) return; // Not to be compared, says the set's description.
        Golden.Begin(run.GetProperty("id").GetString()!);
        using var scope = NewDisposeScope();
        TModel model = Build();
        bool isResidual = OverrideBase(run, model);
        // A run that only says how PEFT fails names no inputs.
        JsonElement given = run.TryGetProperty("inputs", out JsonElement own) ? own : Golden.Runs.First().GetProperty("inputs");
        Dictionary<string, Tensor> inputs = given.EnumerateObject().ToDictionary(p => p.Name, p => Golden.Read(p.Value.GetString()!));
        string mode = run.GetProperty("mode").GetString()!;
        if (mode == "base")
        {
            using (no_grad()) Output(run, Forward(model, inputs));
            model.Dispose();
            return;
        }
        if (run.GetProperty("load").EnumerateArray().Any(IsPickled))
        {
            Assert.Contains("adapter_model.bin, which is there, is a pickle", Assert.Throws<AdapterFormatException>(() => Load(run, model)).Message, StringComparison.Ordinal);
            model.Dispose();
            return;
        }
        using LoraModel<TModel> lora = Load(run, model, isResidual);
        if (run.TryGetProperty("expect_error", out _))
        {
            WherePeftFails(mode, lora, inputs);
            model.Dispose();
            return;
        }
        switch (mode)
        {
            case "adapter":
                Tensor output = Forward(model, inputs);
                Output(run, output);
                Gradients(run, lora, output);
                break;
            case "disabled" when lora.Config.Bias != BiasKind.None || lora.Config.LayerReplication.Count > 0:
                // PEFT leaves trained biases and repeated layers in place. Here they go with the adapter, and come without its terms where the scale is zero.
                lora.SetScale(lora.ActiveAdapters[0], 0);
                using (no_grad()) Output(run, Forward(model, inputs));
                lora.ResetScale();
                using (lora.Disable())
                using (no_grad())
                    Golden.Compare("out.base", Forward(model, inputs), Tolerance("output"));
                break;
            case "disabled":
                using (lora.Disable())
                using (no_grad())
                    Output(run, Forward(model, inputs));
                break;
            case "merged":
                if (run.TryGetProperty("merge", out JsonElement merged)) MergeAsPeft(lora, merged);
                else Merge(lora);
                using (no_grad()) Output(run, Forward(model, inputs));
                break;
            case "merge_unmerge":
                Merge(lora);
                lora.Unmerge();
                using (no_grad()) Output(run, Forward(model, inputs));
                break;
            case "mixed":
                string[] names = [.. run.GetProperty("adapter_names").EnumerateArray().Select(name => name.GetString()!)];
                using (no_grad())
                using (lora.UsePerSample(names))
                    Output(run, Forward(model, inputs));
                MixedErrors(lora, names, inputs);
                break;
            case "merge_and_unload":
                MergeAndUnload(run, lora, inputs);
                break;
            default:
                Assert.Fail($"{Golden.Name}: mode '{mode}' is not known to this test.");
                break;
        }
        lora.Dispose();
        model.Dispose();
    }

    // The base that an initialisation has taken its start off.
    private bool OverrideBase(JsonElement run, TModel model)
    {
        if (!run.TryGetProperty("base_overrides", out JsonElement overrides)) return false;
        using var noGrad = no_grad();
        Dictionary<string, Parameter> parameters = model.named_parameters().ToDictionary(p => p.name, p => p.parameter);
        foreach (JsonProperty weight in overrides.EnumerateObject()) parameters[StateName(weight.Name)].copy_(Golden.Read(weight.Value.GetString()!));
        return overrides.EnumerateObject().Any();
    }

    private bool IsPickled(JsonElement adapter)
    {
        string folder = Golden.PathOf(adapter.GetProperty("dir").GetString()!);
        return File.Exists(Path.Combine(folder, "adapter_model.bin")) && !File.Exists(Path.Combine(folder, "adapter_model.safetensors"));
    }

    // The adapters in their order, then those active that the run names.
    private LoraModel<TModel> Load(JsonElement run, TModel model, bool isResidual = false)
    {
        JsonElement[] load = [.. run.GetProperty("load").EnumerateArray()];
        string Folder(JsonElement adapter) => Golden.PathOf(adapter.GetProperty("dir").GetString()!);
        string Name(JsonElement adapter) => adapter.GetProperty("name").GetString()!;
        LoraModel<TModel> lora = LoraModel.Load(model, Folder(load[0]), Options with
        {
            AdapterName = Name(load[0]),
            BaseIsResidual = isResidual,
            UpcastAdapters = !run.TryGetProperty("autocast_adapter_dtype", out JsonElement upcast) || upcast.GetBoolean(),
        });
        foreach (JsonElement adapter in load[1..]) lora.LoadAdapter(Name(adapter), Folder(adapter));
        if (run.TryGetProperty("active", out JsonElement names)) lora.SetActive(names.EnumerateArray().Select(name => name.GetString()!));
        if (run.TryGetProperty("scale_steps", out JsonElement steps)) Rescale(run, lora, steps);
        return lora;
    }

    // PEFT merges an adapter that it computed without the layer's dilation or padding mode as if it had them. That is to be asked for.
    private static void Merge(LoraModel<TModel> lora)
    {
        if (NeedsPeft(lora))
            Assert.Contains("PeftCompatible", Assert.Throws<InvalidOperationException>(() => lora.Merge()).Message, StringComparison.Ordinal);
        lora.Merge(new MergeOptions { PeftCompatible = NeedsPeft(lora) });
    }

    private static bool NeedsPeft(LoraModel<TModel> lora) => lora.Layers.Any(layer => layer.Layer.Adapters.Any(adapter => adapter is ConvAdapter { UsesPeftGeometry: true }));

    // A bias cannot be merged where there is none. What else PEFT cannot merge is merged here, and computes what it did before.
    private void WherePeftFails(string mode, LoraModel<TModel> lora, IReadOnlyDictionary<string, Tensor> inputs)
    {
        Assert.Equal("merge_and_unload", mode);
        if (lora.Config.UseLoraBias)
        {
            Assert.Contains("has no bias", Assert.Throws<InvalidOperationException>(() => lora.MergeAndUnload()).Message, StringComparison.Ordinal);
            return;
        }
        JsonElement unmerged = Golden.Runs.Single(run => run.GetProperty("mode").GetString() == "adapter");
        TModel merged = lora.MergeAndUnload();
        using (no_grad()) Output(unmerged, Forward(merged, inputs));
    }

    // On a layer with a merged adapter PEFT forgets the others that are active.
    private static void MergeAsPeft(LoraModel<TModel> lora, JsonElement merged)
    {
        string[] names = [.. merged.EnumerateArray().Select(name => name.GetString()!)];
        foreach (AdapterLayer layer in lora.Layers.Where(layer => names.Any(layer.Layer.Adapters.Contains)))
        {
            layer.Layer.Adapters.SetActive(names);
            layer.Layer.Adapters.Merge();
        }
    }

    private static void Rescale(JsonElement run, LoraModel<TModel> lora, JsonElement steps)
    {
        foreach (JsonElement step in steps.EnumerateArray())
        {
            double? factor = step[1].ValueKind == JsonValueKind.Null ? null : step[1].GetDouble();
            switch (step[0].GetString())
            {
                case "set_scale": lora.SetScale(lora.ActiveAdapters[0], factor!.Value); break;
                case "scale_layer": lora.MultiplyScale(factor!.Value); break;
                case "unscale_layer" when factor is null: lora.ResetScale(); break;
                case "unscale_layer": lora.MultiplyScale(1 / factor.Value); break;
                default: Assert.Fail($"The step '{step[0]}' is not known to this test."); break;
            }
        }
        Assert.Equal(run.GetProperty("scaling").GetDouble(), lora.Layers[0].Scale, 1e-12);
    }

    // Where PEFT refuses, so do we; except in training mode, in which our samples may have adapters of their own.
    private void MixedErrors(LoraModel<TModel> lora, string[] names, IReadOnlyDictionary<string, Tensor> inputs)
    {
        if (!Golden.Json.TryGetProperty("errors", out JsonElement errors)) return;
        foreach (JsonProperty error in errors.EnumerateObject())
        {
            switch (error.Name)
            {
                case "wrong_length":
                    using (lora.UsePerSample(names[..^1])) Assert.Throws<InvalidOperationException>(() => Forward(lora.Model, inputs));
                    break;
                case "unknown_name":
                    Assert.Throws<ArgumentException>(() => lora.UsePerSample([.. names[..^1], "nope"]));
                    break;
                case "training_mode":
                    lora.Model.train();
                    using (lora.UsePerSample(names)) Forward(lora.Model, inputs);
                    lora.Model.eval();
                    break;
                case "merged":
                    lora.Merge();
                    Assert.Throws<InvalidOperationException>(() => lora.UsePerSample(names));
                    lora.Unmerge();
                    break;
                default:
                    Assert.Fail($"{Golden.Name}: the error '{error.Name}' is not known to this test.");
                    break;
            }
        }
    }

    private void MergeAndUnload(JsonElement run, LoraModel<TModel> lora, IReadOnlyDictionary<string, Tensor> inputs)
    {
        TModel untouched = Build();
        Dictionary<string, Tensor> before = untouched.state_dict();
        TModel merged = lora.MergeAndUnload(new MergeOptions { PeftCompatible = NeedsPeft(lora) });
        using (no_grad()) Output(run, Forward(merged, inputs));
        if (run.TryGetProperty("merged_weights", out JsonElement weights))
        {
            Dictionary<string, Tensor> after = merged.state_dict();
            HashSet<string> changed = [];
            foreach (JsonProperty weight in weights.EnumerateObject())
            {
                Golden.Compare(weight.Value.GetString()!, after[StateName(weight.Name)], Tolerance("weight"));
                changed.Add(StateName(weight.Name));
            }
            Assert.Equal(before.Keys.Order(), after.Keys.Order());
            foreach (string name in before.Keys.Where(name => !changed.Contains(name)))
                Assert.True(before[name].eq(after[name]).all().item<bool>(), $"{Golden.Name}: {name} was changed by merging.");
        }
        untouched.Dispose();
    }

    private void Output(JsonElement run, Tensor output)
    {
        string? mask = run.TryGetProperty("compare_mask", out JsonElement where) ? where.GetString() : null;
        Golden.Compare(run.GetProperty("output").GetString()!, output, Tolerance(run.GetProperty("tolerance").GetString()!), mask);
    }

    private void Gradients(JsonElement run, LoraModel<TModel> lora, Tensor output)
    {
        if (!run.TryGetProperty("grads", out JsonElement wanted)) return;
        output.mul(Golden.Read(run.GetProperty("probe").GetString()!)).sum().backward();
        Dictionary<string, Parameter> parameters = lora.ActiveAdapters.SelectMany(lora.AdapterTensors).Where(tensor => tensor.Value.requires_grad).ToDictionary();
        Assert.Equal(wanted.EnumerateObject().Select(p => p.Name).Order(), parameters.Keys.Order());
        foreach (JsonProperty gradient in wanted.EnumerateObject())
            Golden.Compare(gradient.Value.GetString()!, AsPeft(gradient.Name, parameters[gradient.Name].grad!), Tolerance("grad"));
        Assert.All(lora.Model.named_parameters().Where(p => !p.parameter.requires_grad), p => Assert.Null(p.parameter.grad));
    }

    // PEFT adds the update s·B·A of an attention's out_proj twice and takes the gradient of one addition. Our B is twice PEFT's, and s·2Bᵀ·G is twice
    // PEFT's gradient of A, while s·G·Aᵀ is PEFT's gradient of B.
    private static Tensor AsPeft(string key, Tensor gradient) => key.EndsWith(".base_layer.out_proj.lora_A.weight", StringComparison.Ordinal) ? gradient.div(2) : gradient;

    protected JsonElement Tolerance(string name) => Golden.Json.GetProperty("tolerance").GetProperty(name);
}
