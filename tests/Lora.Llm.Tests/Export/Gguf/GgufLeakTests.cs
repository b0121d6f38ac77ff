using Lora.Export.Gguf;
using Lora.Llm.Export;
using Lora.Tests;

namespace Lora.Llm.Tests.Export.Gguf;

/// <summary>Exports keep no tensor alive, and a file that was not finished leaves nothing.</summary>
[Collection(Alone.Name)]
public sealed class GgufLeakTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("llama")]
    [InlineData("gpt2")]
    public void Exports_leave_nothing_behind(string kind)
    {
        Make(kind);
        var options = new GgufModelOptions { Type = GgufType.F16, Adapters = [_folder["adapter"]], IncludeTokenizer = false };
        Leaks.AssertNone(3, () =>
        {
            GgufModelExport.Run(_folder["model"], _folder["model.gguf"], options, cancellationToken: TestContext.Current.CancellationToken);
            GgufAdapterExport.Run(_folder["adapter"], _folder["model"], _folder["adapter.gguf"], cancellationToken: TestContext.Current.CancellationToken);
            using GgufFile file = GgufFile.Open(_folder["model.gguf"]);
            foreach (GgufEntry entry in file.Entries) file.ReadTensor(entry.Name).Dispose();
        });
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    public void A_file_that_was_stopped_is_not_there(int tensors)
    {
        Make("llama");
        Leaks.AssertNone(3, () =>
        {
            using var stop = new CancellationTokenSource();
            var stopping = new Stopping(stop, tensors);
            Assert.Throws<OperationCanceledException>(() => GgufModelExport.Run(_folder["model"], _folder["model.gguf"], new GgufModelOptions { Adapters = [_folder["adapter"]], IncludeTokenizer = false }, stopping, stop.Token));
            Assert.Throws<OperationCanceledException>(() => GgufAdapterExport.Run(_folder["adapter"], _folder["model"], _folder["adapter.gguf"], null, stopping, stop.Token));
            Assert.Equal(tensors, stopping.Told);
        });
        Assert.Equal(["adapter", "model"], Directory.EnumerateFileSystemEntries(_folder.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    private void Make(string kind)
    {
        GgufFolders.Make(kind, _folder["model"]);
        GgufFolders.Adapt(_folder["model"], _folder["adapter"], LoraConfig.AllLinear(rank: 3, alpha: 5));
    }

    private sealed class Stopping(CancellationTokenSource stop, int after) : IProgress<GgufProgress>
    {
        public int Told { get; private set; }

        public void Report(GgufProgress value)
        {
            if (++Told == after) stop.Cancel();
        }
    }
}
