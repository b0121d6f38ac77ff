namespace TorchSharp;

public static partial class torch
{
    public static partial class optim
    {
        public static partial class lr_scheduler
        {
            public static LRScheduler SequentialLR(
                Optimizer optimizer, IEnumerable<LRScheduler> schedulers, IEnumerable<int> milestones, int last_epoch = -1) =>
                new impl.SequentialLR(optimizer, schedulers, milestones, last_epoch);

            public static partial class impl
            {
                /// <summary>One scheduler after another; each starts anew at its milestone.</summary>
                public class SequentialLR : LRScheduler
                {
                    private readonly List<LRScheduler> _schedulers;
                    private readonly List<int> _milestones;

                    public SequentialLR(Optimizer optimizer, IEnumerable<LRScheduler> schedulers, IEnumerable<int> milestones, int last_epoch = -1)
                        : base(optimizer, last_epoch + 1)
                    {
                        _schedulers = [.. schedulers];
                        _milestones = [.. milestones];
                        if (_schedulers.Count == 0 || _schedulers.Any(s => s.Owner != optimizer))
                            throw new ArgumentException("Give at least one scheduler, all of this optimizer.", nameof(schedulers));
                        if (_milestones.Count != _schedulers.Count - 1)
                            throw new ArgumentException($"{_schedulers.Count} schedulers have {_schedulers.Count - 1} milestones between them, not {_milestones.Count}.", nameof(milestones));

                        // Every scheduler has made its first step when it was built: only that of the first one is to count.
                        Set([.. BaseRates]);
                        foreach (LRScheduler scheduler in _schedulers) scheduler.Unstep();
                        _schedulers[0].step();
                        LastRates = _schedulers[0].LastRates;
                    }

                    protected override IEnumerable<double> get_lr()
                    {
                        int current = _milestones.FindLastIndex(m => m <= Epoch) + 1;
                        if (current > 0 && _milestones[current - 1] == Epoch) _schedulers[current].step(0);
                        else _schedulers[current].step();
                        return _schedulers[current].LastRates;
                    }
                }
            }
        }
    }
}
