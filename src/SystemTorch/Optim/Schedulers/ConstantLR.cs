namespace TorchSharp;

public static partial class torch
{
    public static partial class optim
    {
        public static partial class lr_scheduler
        {
            public static LRScheduler ConstantLR(
                Optimizer optimizer, double factor = 1.0 / 3, int total_iters = 5, int last_epoch = -1, bool verbose = false) =>
                new impl.ConstantLR(optimizer, factor, total_iters, last_epoch, verbose);

            public static partial class impl
            {
                public class ConstantLR : LRScheduler
                {
                    private readonly double _factor;
                    private readonly int _total;

                    public ConstantLR(Optimizer optimizer, double factor = 1.0 / 3, int total_iters = 5, int last_epoch = -1, bool verbose = false)
                        : base(optimizer, last_epoch, verbose)
                    {
                        (_factor, _total) = (factor, total_iters);
                        Start();
                    }

                    protected override IEnumerable<double> get_lr() =>
                        Epoch == 0 ? Rates.Select(r => r * _factor) : Epoch == _total ? Rates.Select(r => r / _factor) : Rates;

                    protected override IEnumerable<double> get_closed_form_lr() => BaseRates.Select(r => Epoch < _total ? r * _factor : r);
                }
            }
        }
    }
}
