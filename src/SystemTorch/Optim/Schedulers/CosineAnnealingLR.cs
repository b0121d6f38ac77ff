namespace TorchSharp;

public static partial class torch
{
    public static partial class optim
    {
        public static partial class lr_scheduler
        {
            public static LRScheduler CosineAnnealingLR(
                Optimizer optimizer, double T_max, double eta_min = 0, int last_epoch = -1, bool verbose = false) =>
                new impl.CosineAnnealingLR(optimizer, T_max, eta_min, last_epoch, verbose);

            public static partial class impl
            {
                public class CosineAnnealingLR : LRScheduler
                {
                    private readonly double _period;
                    private readonly double _minimum;

                    public CosineAnnealingLR(Optimizer optimizer, double T_max, double eta_min = 0, int last_epoch = -1, bool verbose = false)
                        : base(optimizer, last_epoch, verbose)
                    {
                        (_period, _minimum) = (T_max, eta_min);
                        Start();
                    }

                    protected override IEnumerable<double> get_lr()
                    {
                        if (Epoch == 0) return Rates;
                        if (_step_count == 1) return get_closed_form_lr();

                        // From the minimum no factor leads up again.
                        if ((Epoch - 1 - _period) % (2 * _period) == 0)
                            return Rates.Zip(BaseRates, (r, b) => r + ((b - _minimum) * (1 - Math.Cos(Math.PI / _period)) / 2));
                        double factor = Wave(Epoch) / Wave(Epoch - 1);
                        return Rates.Select(r => (factor * (r - _minimum)) + _minimum);
                    }

                    protected override IEnumerable<double> get_closed_form_lr() =>
                        BaseRates.Select(b => _minimum + ((b - _minimum) * Wave(Epoch) / 2));

                    private double Wave(int epoch) => 1 + Math.Cos(Math.PI * epoch / _period);
                }
            }
        }
    }
}
