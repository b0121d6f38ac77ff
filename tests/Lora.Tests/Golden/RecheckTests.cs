using System.Text.Json;
using Lora.Layers;
using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Tests.Golden;

/// <summary>
/// Writes adapters of every kind, with the base model, inputs and outputs, for <c>tests/golden/recheck_with_peft.py</c> to load with the real PEFT. Here they are read back by
/// the code that reads PEFT's own golden cases. The folders are kept where LORA_PEFT_OUT names a place for them.
/// </summary>
public sealed class RecheckTests : IDisposable
{
    private static readonly AdapterFormat _diffusers = AdapterFormat.Diffusers("unet"), _kohya = AdapterFormat.Kohya("lora_unet");
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _temporary = new();

    public static TheoryData<PeftCase> Cases => [.. PeftCase.All];

    public void Dispose()
    {
        _temporary.Dispose();
        _scope.Dispose();
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void What_is_written_can_be_read(PeftCase written)
    {
        string? kept = Environment.GetEnvironmentVariable("LORA_PEFT_OUT");
        string folder = Path.Combine(string.IsNullOrEmpty(kept) ? _temporary.Path : kept, written.Name);
        Write(written, folder);

        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "case.json")));
        using SafetensorsFile io = SafetensorsFile.Open(Path.Combine(folder, "io.safetensors"));
        Tensor input = io.ReadTensor("in.x", TestDevice.Current);
        foreach (JsonElement run in json.RootElement.GetProperty("runs").EnumerateArray())
        {
            using SpecModel model = Read(folder, json.RootElement.GetProperty("base"));
            using LoraModel<SpecModel>? lora = run.TryGetProperty("load", out JsonElement adapters) ? Load(model, folder, adapters)
                : run.TryGetProperty("file", out JsonElement file) ? LoraModel.Load(model, Path.Combine(folder, file.GetString()!), loading: new LoadOptions { Format = run.GetProperty("mode").GetString() == "kohya" ? _kohya : _diffusers })
                : null;
            if (lora is not null) Assert.Empty(lora.LoadReport);
            if (run.TryGetProperty("active", out JsonElement active)) lora!.SetActive(active.EnumerateArray().Select(name => name.GetString()!));
            if (run.GetProperty("mode").GetString() == "merged") lora!.Merge();
            Adapted.AssertRelativelyClose(io.ReadTensor(run.GetProperty("output").GetString()!, TestDevice.Current), model.call(input));
        }
        // An adapter that does nothing would agree with anything.
        Assert.True(Adapted.Difference(io.ReadTensor("out.base"), io.ReadTensor("out.adapter")) > 0.01);
    }

    private static void Write(PeftCase written, string folder)
    {
        Directory.CreateDirectory(folder);
        using SpecModel model = Fresh(written, folder);
        Tensor input = written.Tokens is int count
            ? arange(written.Input.Aggregate(1L, (product, size) => product * size), device: TestDevice.Current).mul(7).remainder(count).view(written.Input)
            : Noise.Fill(empty(written.Input, device: TestDevice.Current), seed: 4, range: 1.5);
        var io = new Dictionary<string, Tensor> { ["in.x"] = input, ["out.base"] = model.call(input) };
        var runs = new List<object> { new { id = "base", mode = "base", inputs = new { x = "in.x" }, output = "out.base", tolerance = "output" } };
        var load = new List<object> { new { name = "default", dir = "adapter" } };
        var active = new List<string> { "default" };
        using (LoraModel<SpecModel> lora = LoraModel.Wrap(model, written.Config, new WrapOptions { LayerKinds = written.Kinds }))
        {
            if (written.Second is LoraConfig second)
            {
                lora.AddAdapter("style", second);
                lora.SetActive("default", "style");
                load.Add(new { name = "style", dir = "adapter/style" });
                active.Add("style");
            }
            int seed = 90;
            foreach ((_, Parameter parameter) in active.SelectMany(lora.AdapterTensors)) Noise.Fill(parameter, seed++, 0.8 / Math.Sqrt(Noise.Places(parameter)));
            if (written.Kinds.Count > 0) lora.SaveAdapter("default", Path.Combine(folder, "adapter"), AdapterFormat.PeftExpanded);
            else lora.Save(Path.Combine(folder, "adapter"));
            io["out.adapter"] = model.call(input);
            runs.Add(Run("adapter"));
            if (written.HasPairsOnly && lora.Layers.All(layer => layer.Layer is LoraLinear or LoraConv))
            {
                lora.SaveAdapter("default", Path.Combine(folder, "diffusers"), _diffusers);
                runs.Add(OfFile("diffusers", "diffusers/pytorch_lora_weights.safetensors", "unet"));
            }
            if (written.HasPairsOnly && !written.Config.UseLoraBias && written.Merges && lora.Layers.All(layer => layer.Layer is LoraLinear || layer.Layer.BaseLayer is Conv2d))
            {
                lora.SaveAdapter("default", Path.Combine(folder, "kohya.safetensors"), _kohya);
                runs.Add(OfFile("kohya", "kohya.safetensors", "lora_unet"));
            }
            if (written.Config.Bias == BiasKind.None && written.Merges)
            {
                lora.Merge();
                io["out.merged"] = model.call(input);
                runs.Add(Run("merged"));
                lora.Unmerge();
            }
        }
        SafetensorsWriter.Save(Path.Combine(folder, "io.safetensors"), io.ToDictionary(tensor => tensor.Key, tensor => tensor.Value.detach()));
        File.WriteAllText(Path.Combine(folder, "case.json"), JsonSerializer.Serialize(new
        {
            name = written.Name,
            dtype = "float32",
            @base = written.Base,
            adapters = load,
            runs,
            tolerance = new { output = new { atol = 2e-5, rtol = 1e-4 } },
        }));

        static object OfFile(string mode, string file, string prefix) => new { id = mode, mode, file, prefix, inputs = new { x = "in.x" }, output = "out.adapter", tolerance = "output" };

        object Run(string mode) => new { id = mode, mode, inputs = new { x = "in.x" }, output = $"out.{mode}", tolerance = "output", load, active };
    }

    // With weights that every run of the tests has.
    private static SpecModel Fresh(PeftCase written, string folder)
    {
        string weights = Path.Combine(folder, "base.safetensors");
        using (var scope = NewDisposeScope())
        {
            var tensors = new Dictionary<string, Tensor>();
            int seed = 10;
            foreach (JsonElement module in written.Base.GetProperty("modules").EnumerateArray())
            {
                nn.Module made = SpecModules.Make(module.GetProperty("type").GetString()!, module.GetProperty("args"), ScalarType.Float32);
                foreach ((string name, Parameter parameter) in made.named_parameters())
                    tensors[$"{module.GetProperty("path").GetString()}.{name}"] = Noise.Fill(parameter.detach(), seed++, 0.9 / Math.Sqrt(Noise.Places(parameter)));
            }
            SafetensorsWriter.Save(weights, tensors);
        }
        return Read(folder, written.Base);
    }

    private static SpecModel Read(string folder, JsonElement spec)
    {
        var model = new SpecModel(spec, Path.Combine(folder, "base.safetensors"));
        model.eval();
        return model;
    }

    private static LoraModel<SpecModel> Load(SpecModel model, string folder, JsonElement adapters)
    {
        LoraModel<SpecModel>? lora = null;
        foreach (JsonElement adapter in adapters.EnumerateArray())
        {
            (string name, string path) = (adapter.GetProperty("name").GetString()!, Path.Combine(folder, adapter.GetProperty("dir").GetString()!));
            if (lora is null) lora = LoraModel.Load(model, path, new WrapOptions { AdapterName = name });
            else lora.LoadAdapter(name, path);
        }
        return lora!;
    }
}
