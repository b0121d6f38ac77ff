using TorchSharp.Utils;

namespace TorchSharp.Modules;

public abstract partial class OptimizerHelper
{
    /// <summary>The options and states themselves, not copies.</summary>
    public virtual StateDictionary state_dict()
    {
        var answer = new StateDictionary();
        foreach (ParamGroup group in _parameter_groups)
        {
            var indices = new List<int>();
            foreach (Parameter parameter in group.Parameters)
            {
                indices.Add(answer.State.Count);
                answer.State.Add(_state[parameter.Handle]);
            }
            answer.StateIndexRef.Add(indices);
            answer.Options.Add(group.Options);
        }
        return answer;
    }

    public virtual void load_state_dict(StateDictionary state_dict)
    {
        StateDictionary own = this.state_dict();
        RequireSame(own.Options.Count, state_dict.Options.Count, "parameter groups");
        RequireSame(own.State.Count, state_dict.State.Count, "states");
        for (int i = 0; i < own.Options.Count; i++) RequireSame(own.StateIndexRef[i].Count, state_dict.StateIndexRef[i].Count, $"parameters in group {i}");

        for (int i = 0; i < own.Options.Count; i++)
            if (own.Options[i] != state_dict.Options[i]) own.Options[i].LoadStateDict(state_dict.Options[i]);
        for (int i = 0; i < own.State.Count; i++)
            if (own.State[i] != state_dict.State[i]) own.State[i].LoadStateDict(state_dict.State[i]);
    }

    public void save_state_dict(string location)
    {
        using var writer = new BinaryWriter(File.Create(location));
        save_state_dict(writer);
    }

    /// <summary>TorchSharp's own format: the optimizer's name, the numbers of groups and states, and then these one after the other.</summary>
    public void save_state_dict(BinaryWriter writer)
    {
        StateDictionary own = state_dict();
        writer.Write(GetType().Name);
        writer.Encode(own.Options.Count);
        writer.Encode(own.State.Count);
        foreach (OptimizerOptions options in own.Options) options.SaveStateDict(writer);
        foreach (OptimizerState state in own.State) state.SaveStateDict(writer);
        writer.Flush();
    }

    public void load_state_dict(string location)
    {
        using var reader = new BinaryReader(File.OpenRead(location));
        load_state_dict(reader);
    }

    public void load_state_dict(BinaryReader reader)
    {
        string expected = GetType().Name, found = reader.ReadString();
        if (found != expected) throw new InvalidDataException($"Mismatched optimizer type: expected '{expected}', but found '{found}' in the loaded stream.");
        StateDictionary own = state_dict();
        RequireSame(own.Options.Count, reader.Decode(), "parameter groups");
        RequireSame(own.State.Count, reader.Decode(), "states");
        foreach (OptimizerOptions options in own.Options) options.LoadStateDict(reader);
        foreach (OptimizerState state in own.State) state.LoadStateDict(reader);
    }

    private static void RequireSame(int own, long given, string what)
    {
        if (own != given) throw new ArgumentException($"Invalid optimizer state -- different number of {what}: {own} here, {given} there.");
    }
}
