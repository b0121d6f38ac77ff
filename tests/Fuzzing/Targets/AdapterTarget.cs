using Lora.Fuzzing.Mutation;
using Lora.Fuzzing.Running;
using Lora.Serialization;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Fuzzing.Targets;

/// <summary>Whole adapters of every form, one of whose files is damaged, put into a small model.</summary>
internal sealed class AdapterTarget : FuzzTarget
{
    private readonly ScratchFolder _folder = new();
    private readonly nn.Module<Tensor, Tensor> _model = nn.Sequential(("q_proj", nn.Linear(4, 6)), ("v_proj", nn.Linear(6, 5, hasBias: false)), ("head", nn.Linear(5, 3)));
    private readonly Tensor _input = ones(2, 4);
    private readonly List<(string File, string Adapter, AdapterFormat Format)> _files = [];
    private readonly TreeMutator _trees;
    private readonly SafetensorsMutator _weights;
    private readonly string[] _names;

    internal AdapterTarget()
    {
        var config = new LoraConfig { Rank = 2, Alpha = 3, TargetModules = ModuleSelector.EndsWith("q_proj", "v_proj") };
        var seeds = new List<FuzzSeed>();
        Add(seeds, "peft", config, AdapterFormat.Peft);
        Add(seeds, "dora", config with { UseDora = true, ModulesToSave = ["head"], Bias = BiasKind.LoraOnly, RankPattern = new Dictionary<string, int> { ["v_proj"] = 3 } }, AdapterFormat.Peft);
        Add(seeds, "mlx", config, AdapterFormat.Mlx);
        AddLoraLib(seeds, config);
        Add(seeds, "kohya.safetensors", config, AdapterFormat.Kohya("lora_unet"));
        Add(seeds, "diffusers", config, AdapterFormat.Diffusers("unet"));
        Seeds = seeds;
        _trees = new TreeMutator([.. seeds.Where(IsJson)]);
        _weights = new SafetensorsMutator([.. seeds.Where(seed => !IsJson(seed))]);
        _names = Names();
    }

    internal override string Name => "adapter";

    internal override string Reads => "LoraModel.Load of adapters in PEFT's, mlx-lm's, loralib's, kohya's and diffusers' form, of which a configuration or the weights are damaged; those accepted compute once";

    internal override IReadOnlyList<FuzzSeed> Seeds { get; }

    internal override string PlaceName => _folder.Path;

    // The layers that are put into the model, a look at all its modules, and the automata of at most 16 patterns of each of two tables.
    internal override long FloorBytes => 32 << 20;

    internal override bool IsRejection(Exception exception) => exception is AdapterFormatException;

    internal override byte[] Mutate(FuzzSeed seed, FuzzRandom random) => !IsJson(seed) ? _weights.Mutate(seed, random)
        : random.OneIn(4) ? ByteMutator.Mutate(seed.Bytes, random.Pick(Seeds).Bytes, random)
        : _trees.Mutate(seed, random);

    internal override void Read(FuzzSeed seed, byte[] input)
    {
        (string file, string adapter, AdapterFormat format) = _files[seed.Variant];
        File.WriteAllBytes(file, input);
        try
        {
            using DisposeScope scope = NewDisposeScope();
            using (LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Load(_model, adapter, loading: new LoadOptions { Format = format })) _ = _model.call(_input);
            CheckModel();
        }
        catch (InvalidOperationException exception) when (exception.Message.Contains("alora_invocation_tokens", StringComparison.Ordinal))
        {
            // An adapter that waits for tokens, of which this model has none.
        }
        catch (AdapterFormatException)
        {
            CheckModel();
            throw;
        }
        finally
        {
            File.WriteAllBytes(file, seed.Bytes);
        }
    }

    protected override void Dispose(bool disposing)
    {
        _input.Dispose();
        _model.Dispose();
        _folder.Dispose();
        base.Dispose(disposing);
    }

    private static bool IsJson(FuzzSeed seed) => seed.Name.EndsWith(".json", StringComparison.Ordinal);

    private void CheckModel()
    {
        if (!Names().SequenceEqual(_names)) throw new InvalidOperationException("The model is not as it was.");
    }

    private string[] Names() => [.. _model.named_parameters().Select(pair => pair.name).Concat(_model.named_modules().Select(pair => pair.name))];

    private void Add(List<FuzzSeed> seeds, string name, LoraConfig config, AdapterFormat format)
    {
        string adapter = _folder[name];
        using (LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(_model, config)) lora.SaveAdapter("default", adapter, format);
        Add(seeds, adapter, format);
    }

    private void AddLoraLib(List<FuzzSeed> seeds, LoraConfig config)
    {
        using DisposeScope scope = NewDisposeScope();
        SafetensorsWriter.Save(_folder["loralib.safetensors"], new Dictionary<string, Tensor>
        {
            ["q_proj.lora_A"] = ones(2, 4),
            ["q_proj.lora_B"] = ones(6, 2),
            ["v_proj.lora_A"] = ones(2, 6),
            ["v_proj.lora_B"] = ones(5, 2),
        });
        Add(seeds, _folder["loralib.safetensors"], AdapterFormat.LoraLib(config));
    }

    private void Add(List<FuzzSeed> seeds, string adapter, AdapterFormat format)
    {
        foreach (string file in Directory.Exists(adapter) ? Directory.GetFiles(adapter).Order(StringComparer.Ordinal) : (IEnumerable<string>)[adapter])
        {
            if (!file.EndsWith(".json", StringComparison.Ordinal) && !file.EndsWith(".safetensors", StringComparison.Ordinal)) continue;
            seeds.Add(new FuzzSeed(Path.GetRelativePath(_folder.Path, file), File.ReadAllBytes(file), _files.Count));
            _files.Add((file, adapter, format));
        }
    }
}
