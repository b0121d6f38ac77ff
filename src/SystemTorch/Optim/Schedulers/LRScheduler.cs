using System.Globalization;

namespace TorchSharp;

public static partial class torch
{
    public static partial class optim
    {
        public static partial class lr_scheduler
        {
            /// <summary>Sets the learning rates of an optimizer's groups at every step, as PyTorch's class of this name does.</summary>
            public abstract class LRScheduler
            {
                protected int _step_count;

                private readonly bool _verbose;

                protected LRScheduler()
                {
                }

                protected LRScheduler(Optimizer optimizer, int last_epoch = -1, bool verbose = false)
                {
                    Owner = optimizer;
                    Epoch = last_epoch;
                    _verbose = verbose;
                    BaseRates = [.. optimizer.ParamGroups.Select(g => g.InitialLearningRate)];
                    LastRates = [.. optimizer.ParamGroups.Select(g => g.LearningRate)];
                }

                internal Optimizer Owner { get; private protected set; }

                internal int Epoch { get; private set; } = -1;

                internal List<double> BaseRates { get; } = [];

                internal List<double> LastRates { get; private protected set; } = [];

                /// <summary>The rates as they are now, of which the chainable forms compute the next.</summary>
                private protected IEnumerable<double> Rates => Owner.ParamGroups.Select(g => g.LearningRate);

                public virtual void step() => step(null);

                public virtual void step(int? epoch)
                {
                    _step_count++;
                    Epoch = epoch ?? Epoch + 1;
                    Set([.. epoch is null ? get_lr() : get_closed_form_lr()]);
                }

                /// <summary>With a measured value, which only <c>ReduceLROnPlateau</c> uses.</summary>
                public virtual void step(double current, int? epoch = null) => step(epoch);

                public IEnumerable<double> get_last_lr() => LastRates;

                protected virtual IEnumerable<double> get_lr() => Rates;

                /// <summary>The rates at any epoch, without those before it; the chainable form where there is none.</summary>
                protected virtual IEnumerable<double> get_closed_form_lr() => get_lr();

                /// <summary>The first step, by which a new scheduler sets the rates of epoch 0: the last act of every constructor.</summary>
                private protected void Start() => step();

                /// <summary>Forgets the step that the constructor made.</summary>
                internal void Unstep()
                {
                    _step_count--;
                    Epoch--;
                }

                private protected void Set(List<double> rates)
                {
                    int i = 0;
                    foreach (ILearningRateController group in Owner.ParamGroups)
                    {
                        group.LearningRate = rates[i];
                        // The caller asked for this line, by an argument of the package's that does nothing else.
                        if (_verbose)
                            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Adjusting learning rate of group {i} to {rates[i]:E4}."));
                        i++;
                    }
                    LastRates = rates;
                }
            }
        }
    }
}
