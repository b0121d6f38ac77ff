namespace TorchSharp.Modules;

public abstract partial class OptimizerHelper
{
    /// <summary>What precedes a thing in the stream of <see cref="save_state_dict(BinaryWriter)"/>.</summary>
    protected enum TypeCode
    {
        Double = 0,
        Long = 1,
        Tensor = 2,
        Options = 3,
        State = 4,
    }

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
        RequireSame(own.State.Count, state_dict.State.Count, "parameters");
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

    public void save_state_dict(BinaryWriter writer)
    {
        StateDictionary own = state_dict();
        writer.Write(own.Options.Count);
        writer.Write(own.State.Count);
        foreach (List<int> indices in own.StateIndexRef) writer.Write(indices.Count);
        foreach (OptimizerOptions options in own.Options)
        {
            writer.Write((byte)TypeCode.Options);
            options.SaveStateDict(writer);
        }
        foreach (OptimizerState state in own.State)
        {
            writer.Write((byte)TypeCode.State);
            state.SaveStateDict(writer);
        }
        writer.Flush();
    }

    public void load_state_dict(string location)
    {
        using var reader = new BinaryReader(File.OpenRead(location));
        load_state_dict(reader);
    }

    public void load_state_dict(BinaryReader reader)
    {
        StateDictionary own = state_dict();
        RequireSame(own.Options.Count, reader.ReadInt32(), "parameter groups");
        RequireSame(own.State.Count, reader.ReadInt32(), "parameters");
        for (int i = 0; i < own.Options.Count; i++) RequireSame(own.StateIndexRef[i].Count, reader.ReadInt32(), $"parameters in group {i}");
        foreach (OptimizerOptions options in own.Options)
        {
            Expect(reader, TypeCode.Options);
            options.LoadStateDict(reader);
        }
        foreach (OptimizerState state in own.State)
        {
            Expect(reader, TypeCode.State);
            state.LoadStateDict(reader);
        }
    }

    private static void RequireSame(int own, int given, string what)
    {
        if (own != given) throw new ArgumentException($"The optimizer has {own} {what}, the state dictionary {given}.");
    }

    private static void Expect(BinaryReader reader, TypeCode expected)
    {
        byte found = reader.ReadByte();
        if (found != (byte)expected) throw new InvalidDataException($"This is no optimizer state: {expected} was due, {found} came.");
    }
}
