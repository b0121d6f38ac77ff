using System.Runtime.InteropServices;

namespace TorchSharp.Interop;

/// <summary>
/// The operators whose CPU kernels for 16-bit floats an old libtorch lacks, or gets wrong. <see cref="Ops"/> computes them in float32 and rounds what comes
/// out (st_call_widened): whoever calls <c>Ops.Tensor("linear", …)</c> has nothing to do for it. That holds where every floating tensor of the call is on
/// the CPU and of the same 16-bit type; a mixed call goes to libtorch and fails there, as it should. Everything is differentiable, and the gradients
/// are computed in float32 as well, since kernels of the backward pass are missing too.
/// </summary>
/// <remarks>An operator is listed under the name that is called, also where it is composed of others: libtorch's own composing does not pass here.</remarks>
internal static class LowPrecision
{
    private const string Convolutions = "convolution conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d";

    /// <summary>Types to compute in float32; the bits are those of st_call_widened.</summary>
    [Flags]
    internal enum Types
    {
        None = 0,
        Half = 1,
        BFloat16 = 2,
        Both = Half | BFloat16,
    }

    // libtorch 1.x has next to no Half on the CPU ("addmm_impl_cpu_" not implemented for 'Half'); the last of these kernels came with 2.3.
    private static readonly Version _halfComplete = new(2, 4);

    // What is missing or wrong for BFloat16 in 1.13 came with 2.1 and 2.2.
    private static readonly Version _bfloat16Complete = new(2, 3);

    // BFloat16 convolutions through oneDNN give wrong numbers on some processors (seen with 2.6 and 2.10, right with 2.14); transposed ones in Half
    // round after every product (2.6).
    private static readonly Version _convolutionsRight = new(2, 14);

    private static readonly string _version = Marshal.PtrToStringUTF8(Native.st_version()) ?? "";
    private static readonly Types _lacking = Lacking(_version);
    private static readonly Types _lackingInConvolutions = LackingInConvolutions(_version);

    private static readonly Dictionary<string, Types> _operators = Listed();
    private static readonly HashSet<string> _convolutions = [.. Convolutions.Split(' ')];

    /// <summary>The types to widen for the operator with this name (without overload; in place or not), by the libtorch that is running.</summary>
    internal static Types Of(string name)
    {
        if (_convolutions.Contains(name)) return _lackingInConvolutions;
        return _lacking == Types.None ? Types.None : _lacking & _operators.GetValueOrDefault(name.EndsWith('_') ? name[..^1] : name);
    }

    /// <summary>Whether the operator must be widened for this type.</summary>
    internal static bool Lacks(string name, torch.ScalarType type) => type switch
    {
        torch.ScalarType.Float16 => Of(name).HasFlag(Types.Half),
        torch.ScalarType.BFloat16 => Of(name).HasFlag(Types.BFloat16),
        _ => false,
    };

    /// <summary>What a libtorch of this version (<c>"1.13.1"</c>, <c>"2.4.0a0+git"</c>) lacks, convolutions apart.</summary>
    internal static Types Lacking(string version)
    {
        if (Parsed(version) is not Version running) return Types.None;
        return (running < _halfComplete ? Types.Half : 0) | (running < _bfloat16Complete ? Types.BFloat16 : 0);
    }

    /// <summary>The types for which convolutions of a libtorch of this version are missing or wrong.</summary>
    internal static Types LackingInConvolutions(string version) =>
        Parsed(version) is Version running && running < _convolutionsRight ? Types.Both : Types.None;

    private static Version Parsed(string version)
    {
        string[] parts = version.Split('.');
        return parts.Length >= 2 && int.TryParse(parts[0], out int major) && int.TryParse(parts[1], out int minor) ? new Version(major, minor) : null;
    }

    private static Dictionary<string, Types> Listed()
    {
        var listed = new Dictionary<string, Types>();
        void List(Types types, string names)
        {
            foreach (string name in names.Split(' ', StringSplitOptions.RemoveEmptyEntries)) listed.Add(name, types);
        }

        // Products. BFloat16 has kernels, but those without oneDNN add up in BFloat16: a sum of 1000 ones is 256. (They are also many times slower.)
        List(Types.Both, "matmul mm mv bmm dot vdot inner addmm addmv addr addbmm baddbmm einsum tensordot linear bilinear linalg_multi_dot chain_matmul");

        // Recurrent layers stand on products and on sigmoid and tanh.
        List(Types.Both, "lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell");

        // LAPACK knows float32 and float64 alone.
        List(Types.Both, "linalg_svd linalg_svdvals linalg_qr linalg_pinv linalg_inv linalg_det linalg_slogdet linalg_solve linalg_cholesky linalg_eigh");
        List(Types.Both, "linalg_eigvalsh linalg_matrix_rank linalg_cond linalg_lstsq linalg_matrix_exp linalg_norm linalg_matrix_norm");

        // Kernels that exist for neither type: reflection and replication, distances, products of elements, orders over bins.
        List(Types.Both, "pad reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d replication_pad3d");
        List(Types.Both, "cdist prod trace quantile isin mish mse_loss binary_cross_entropy embedding_bag");

        // BFloat16 lacks their backward kernel ("hardshrink_backward_cpu").
        List(Types.Both, "hardtanh relu6 hardshrink softshrink");

        // Half has no vectorised elementary functions and no clamps.
        List(Types.Half, "ceil floor trunc round exp exp2 expm1 log log2 log10 log1p sqrt rsqrt sin cos tan sinh cosh tanh asin acos atan asinh acosh");
        List(Types.Half, "atanh erf erfc erfinv lgamma digamma sigmoid logit relu atan2 hypot logaddexp logaddexp2 pow clamp clamp_min clamp_max");
        List(Types.Half, "lerp addcmul addcdiv logsumexp cumsum cumprod logcumsumexp");

        // Activations, softmax and normalisations without a Half kernel.
        List(Types.Half, "gelu silu elu celu selu leaky_relu prelu rrelu hardswish hardsigmoid log_sigmoid glu softplus threshold softmax log_softmax");
        List(Types.Half, "_softmax _log_softmax layer_norm native_layer_norm group_norm batch_norm native_batch_norm instance_norm _weight_norm");

        // Losses, forward or backward.
        List(Types.Half, "cross_entropy_loss nll_loss nll_loss_nd nll_loss2d l1_loss smooth_l1_loss huber_loss binary_cross_entropy_with_logits kl_div");
        List(Types.Half, "cosine_embedding_loss cosine_similarity pairwise_distance triplet_margin_loss margin_ranking_loss soft_margin_loss");

        // Pooling and resizing.
        List(Types.Half, "max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d");
        List(Types.Half, "max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices _upsample_bilinear2d_aa _upsample_bicubic2d_aa");
        List(Types.Half, "adaptive_max_pool1d adaptive_max_pool2d upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_linear1d");
        List(Types.Half, "upsample_bilinear2d upsample_bicubic2d upsample_trilinear3d");

        // Orders, draws, and the rest.
        List(Types.Half, "median kthvalue topk _unique2 unique_dim unique_consecutive histc multinomial bernoulli dropout feature_dropout alpha_dropout");
        List(Types.Half, "feature_alpha_dropout diag cross linalg_cross");
        return listed;
    }
}
