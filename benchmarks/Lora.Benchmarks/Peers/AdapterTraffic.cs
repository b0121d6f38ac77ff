using Lora.Serialization;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Lora.Benchmarks.Peers;

/// <summary>
/// Adapters that come and go: switching between those that are there, loading, saving. The model has layers with adapters and any number of others beside them, on the device that
/// LORA_TEST_DEVICE names, else on the CPU.
/// </summary>
internal sealed class AdapterTraffic : IDisposable
{
    private static readonly Device _device = device(Environment.GetEnvironmentVariable("LORA_TEST_DEVICE") is { Length: > 0 } name ? name : "cpu");
    private static readonly LoadOptions _staged = new() { Transfer = new Transfer(isStaged: true) }, _direct = new() { Transfer = new Transfer(isStaged: false) };
    private readonly string _folder = Directory.CreateTempSubdirectory("lora-benchmarks-").FullName;
    private readonly Sequential _model;
    private readonly LoraModel<Sequential> _lora;
    private readonly string[] _names;
    private int _turn;

    /// <param name="width">The width of the layers.</param>
    /// <param name="rank">The rank.</param>
    /// <param name="layers">The number of layers with adapters.</param>
    /// <param name="outside">The number of modules beside them.</param>
    /// <param name="adapters">The number of adapters that are there.</param>
    public AdapterTraffic(int width, int rank, int layers, int outside, int adapters)
    {
        manual_seed(0);
        _names = [.. Enumerable.Range(0, adapters).Select(i => $"{i}")];
        IEnumerable<(string, nn.Module<Tensor, Tensor>)> targets = Enumerable.Range(0, layers).Select(i => ($"{i}_proj", (nn.Module<Tensor, Tensor>)nn.Linear(width, width, hasBias: false, device: _device)));
        IEnumerable<(string, nn.Module<Tensor, Tensor>)> others = Enumerable.Range(0, outside).Select(i => ($"{i}_other", (nn.Module<Tensor, Tensor>)nn.Linear(1, 1, device: _device)));
        _model = nn.Sequential([.. targets, .. others]);
        var config = new LoraConfig { Rank = rank, Alpha = 2 * rank, TargetModules = ModuleSelector.EndsWith([.. Enumerable.Range(0, layers).Select(i => $"{i}_proj")]) };
        _lora = LoraModel.Wrap(_model, config, new WrapOptions { AdapterName = "0" });
        for (int i = 1; i < adapters; i++) _lora.AddAdapter($"{i}", config);
        Save();
        Bytes = new FileInfo(Path.Combine(Saved, "adapter_model.safetensors")).Length;
    }

    /// <summary>The size of a saved adapter.</summary>
    public long Bytes { get; }

    private string Saved => Path.Combine(_folder, "adapter");

    /// <summary>Switches a hundred times.</summary>
    public void Switch()
    {
        for (int i = 0; i < 100; i++) _lora.SetActive(_names[++_turn % _names.Length]);
    }

    public void Save() => _lora.SaveAdapter("0", Saved);

    /// <summary>Loads an adapter as the library does it for the device.</summary>
    public void Load() => Load(null);

    /// <summary>Loads an adapter through a buffer, whatever the device.</summary>
    public void LoadStaged() => Load(_staged);

    /// <summary>Loads an adapter tensor by tensor, whatever the device.</summary>
    public void LoadDirect() => Load(_direct);

    private void Load(LoadOptions? loading)
    {
        _lora.LoadAdapter("further", Saved, loading: loading);
        // What the device has still to do belongs to the load.
        if (_device.type == DeviceType.CUDA) cuda.synchronize();
        _lora.DeleteAdapter("further");
    }

    public void Dispose()
    {
        _lora.Dispose();
        _model.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private sealed class Transfer(bool isStaged) : DeviceTransfer
    {
        internal override bool IsStaged(Device device) => isStaged;
    }
}
