using Lora.Serialization;
using Lora.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lora.Tests.Parts;

/// <summary>The head of a classifier is trained in full without being named, as with PEFT.</summary>
public sealed class TaskHeadTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();
    private readonly TemporaryFolder _folder = new();

    public void Dispose()
    {
        _folder.Dispose();
        _scope.Dispose();
    }

    [Theory]
    [InlineData("SEQ_CLS", "classifier", new[] { "classifier", "score" })]
    [InlineData("SEQ_CLS", "score", new[] { "classifier", "score" })]
    [InlineData("TOKEN_CLS", "classifier", new[] { "classifier", "score" })]
    [InlineData("QUESTION_ANS", "qa_outputs", new[] { "qa_outputs" })]
    public void It_is_saved_with_the_names_that_PEFT_writes(string task, string head, string[] names)
    {
        nn.Module<Tensor, Tensor> model = Model(head);
        Tensor input = TestModels.Input(), plain = model.call(input);
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(model, Config(task));
        Assert.Equal(names, lora.Config.ModulesToSave);
        Assert.Equal(["body.q_proj"], lora.Layers.Select(layer => layer.Path));
        Assert.Equal([$"base_model.model.{head}.bias", $"base_model.model.{head}.weight"], lora.AdapterTensors("default").Select(tensor => tensor.Key).Where(key => key.Contains(head, StringComparison.Ordinal)).Order());
        int seed = 4;
        using (no_grad())
            foreach ((_, TorchSharp.Modules.Parameter parameter) in lora.AdapterTensors("default")) Noise.Fill(parameter, seed++, 0.5);
        Tensor adapted = model.call(input);
        using (lora.Disable()) Adapted.AssertSame(plain, model.call(input));
        lora.Save(_folder.Path);
        Assert.Equal(names, PeftAdapterConfig.Load(_folder[PeftAdapterConfig.FileName]).Fields["modules_to_save"].EnumerateArray().Select(name => name.GetString()));

        // That one of the names means nothing here is no news.
        nn.Module<Tensor, Tensor> other = Model(head);
        using LoraModel<nn.Module<Tensor, Tensor>> loaded = LoraModel.Load(other, _folder.Path);
        Assert.Empty(loaded.LoadReport);
        Adapted.AssertSame(adapted, other.call(input));
        loaded.AddAdapter("second", Config(task));
        Assert.Equal(names, loaded.ConfigOf("second").ModulesToSave);
    }

    [Theory]
    [InlineData("CAUSAL_LM", "classifier")]
    [InlineData(null, "score")]
    [InlineData("SEQ_CLS", "top")]
    [InlineData("QUESTION_ANS", "classifier")]
    public void Other_tasks_and_other_heads_are_left_to_the_user(string? task, string head)
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(Model(head), Config(task));
        Assert.Empty(lora.Config.ModulesToSave);
        Assert.Equal(2, lora.AdapterTensors("default").Count);
    }

    [Fact]
    public void What_the_user_named_stays_first_and_other_wrong_names_are_errors()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(Model("score"), Config("SEQ_CLS") with { ModulesToSave = ["body.norm", "score"] });
        Assert.Equal(["body.norm", "score", "classifier"], lora.Config.ModulesToSave);
        Assert.Contains("modules_to_save names 'scoer', which the model does not have; did you mean score?", Assert.Throws<ArgumentException>(() => LoraModel.Wrap(Model("score"), Config("SEQ_CLS") with { ModulesToSave = ["scoer"] })).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void All_linear_leaves_it_out()
    {
        using LoraModel<nn.Module<Tensor, Tensor>> lora = LoraModel.Wrap(Model("classifier"), Config("SEQ_CLS") with { TargetModules = ModuleSelector.AllLinear });
        Assert.Equal(ModuleSelector.EndsWith("body.q_proj"), lora.Config.TargetModules);
        Assert.Equal(["body.q_proj"], lora.Layers.Select(layer => layer.Path));
        Assert.Contains("modules_to_save", LoraModel.Explain(Model("classifier"), Config("SEQ_CLS")).Parts.Select(part => part.Setting));
    }

    private static LoraConfig Config(string? task) => new() { Rank = 2, Alpha = 5, TargetModules = ModuleSelector.EndsWith("q_proj"), TaskType = task };

    private static nn.Module<Tensor, Tensor> Model(string head)
    {
        nn.Module<Tensor, Tensor> body = nn.Sequential(("q_proj", LayerKind.Linear.Make(TestModels.In, TestModels.Middle, seed: 10)), ("norm", nn.LayerNorm(TestModels.Middle, device: TestDevice.Current)));
        return nn.Sequential(("body", body), (head, LayerKind.Linear.Make(TestModels.Middle, TestModels.Out, seed: 20)));
    }
}
