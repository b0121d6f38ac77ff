using Lora.Llm.Training.Checkpoints;

namespace Lora.Llm.Tests.Training.Checkpoints;

public sealed class TrainingStateTests
{
    // A NaN is neither above nor below anything, which must not make it the best there is, nor all that come later.
    [Fact]
    public void A_loss_that_is_no_number_is_never_the_best_and_no_progress()
    {
        var state = new TrainingState();
        var stopping = new EarlyStopping(Patience: 3, MinDelta: 0.1);
        (double Loss, bool Best, int Stale)[] told = [(double.NaN, false, 1), (5, true, 0), (double.NaN, false, 1), (4, true, 0), (4.5, false, 1), (3.95, true, 2), (double.PositiveInfinity, false, 3)];
        for (int i = 0; i < told.Length; i++)
        {
            state.Step = i + 1;
            Assert.Equal((told[i].Best, told[i].Stale), (state.Take(told[i].Loss, stopping), state.StaleEvaluations));
        }
        Assert.Equal((6, 3.95, true), (state.BestStep, state.BestLoss, state.StoppedEarly));
    }

    [Fact]
    public void Nothing_but_NaN_has_no_best()
    {
        var state = new TrainingState { Step = 1 };
        Assert.False(state.Take(double.NaN, new EarlyStopping(Patience: 1)));
        Assert.Equal((null, null, true), (state.BestStep, state.BestLoss, state.StoppedEarly));
    }
}
