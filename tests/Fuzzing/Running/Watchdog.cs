using System.IO.MemoryMappedFiles;

namespace Lora.Fuzzing.Running;

/// <summary>Ends the process where an input takes too long. The number of the input at work also stands in a file, for when the process itself dies of it.</summary>
internal sealed class Watchdog : IDisposable
{
    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly Timer _timer;
    private readonly TimeSpan _limit;
    private readonly Action<long> _hang;
    private long _place = -1;
    private long _seen = -1;
    private int _ticks;
    private int _told;

    /// <param name="path">The file for the number, 8 bytes little-endian.</param>
    /// <param name="limit">How long one input may take.</param>
    /// <param name="hang">Told the number of an input that took longer.</param>
    internal Watchdog(string path, TimeSpan limit, Action<long> hang)
    {
        _limit = limit;
        _hang = hang;
        _file = MemoryMappedFile.CreateFromFile(path, FileMode.Create, null, sizeof(long));
        _view = _file.CreateViewAccessor();
        _timer = new Timer(_ => Look(), null, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1));
    }

    internal void Starting(long place)
    {
        Volatile.Write(ref _place, place);
        _view.Write(0, place);
    }

    public void Dispose()
    {
        _timer.Dispose();
        _view.Dispose();
        _file.Dispose();
    }

    private void Look()
    {
        long place = Volatile.Read(ref _place);
        _ticks = place == _seen ? _ticks + 1 : 0;
        _seen = place;
        if (place >= 0 && _ticks >= _limit.TotalSeconds && Interlocked.Exchange(ref _told, 1) == 0) _hang(place);
    }
}
