namespace TorchSharp;

public static partial class torch
{
    public static partial class optim
    {
        public static partial class lr_scheduler
        {
            public static LRScheduler LinearLR(
                Optimizer optimizer, double start_factor = 1.0 / 3, double end_factor = 1, int total_iters = 5, int last_epoch = -1, bool verbose = false) =>
                new impl.LinearLR(optimizer, start_factor, end_factor, total_iters, last_epoch, verbose);

            public static partial class impl
            {
                public class LinearLR : LRScheduler
                {
                    private readonly double _start;
                    private readonly double _end;
                    private readonly int _total;

                    public LinearLR(
                        Optimizer optimizer, double start_factor = 1.0 / 3, double end_factor = 1, int total_iters = 5, int last_epoch = -1,
                        bool verbose = false)
                        : base(optimizer, last_epoch, verbose)
                    {
                        (_start, _end, _total) = (start_factor, end_factor, total_iters);
                        Start();
                    }

                    protected override IEnumerable<double> get_lr()
                    {
                        if (Epoch == 0) return Rates.Select(r => r * _start);
                        if (Epoch > _total) return Rates;
                        double factor = 1 + ((_end - _start) / ((_total * _start) + ((Epoch - 1) * (_end - _start))));
                        return Rates.Select(r => r * factor);
                    }

                    protected override IEnumerable<double> get_closed_form_lr()
                    {
                        double factor = _start + ((_end - _start) * Math.Min(_total, Epoch) / _total);
                        return BaseRates.Select(r => r * factor);
                    }
                }
            }
        }
    }
}
