namespace TorchSharp;

public enum TensorStringStyle
{
    Metadata = 0,
    Julia = 1,
    Numpy = 2,
    CSharp = 3,
    Default = 4,
}

public static partial class torch
{
    public const TorchSharp.TensorStringStyle julia = TorchSharp.TensorStringStyle.Julia;

    public const TorchSharp.TensorStringStyle numpy = TorchSharp.TensorStringStyle.Numpy;

    public const TorchSharp.TensorStringStyle csharp = TorchSharp.TensorStringStyle.CSharp;

    private static TorchSharp.TensorStringStyle _style = julia;

    /// <summary>The style that <see cref="TorchSharp.TensorStringStyle.Default"/> stands for.</summary>
    public static TorchSharp.TensorStringStyle TensorStringStyle
    {
        get => _style;
        set => _style = value == TorchSharp.TensorStringStyle.Default ? julia : value;
    }
}
