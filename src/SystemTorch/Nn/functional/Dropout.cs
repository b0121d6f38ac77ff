using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public static partial class functional
        {
            public static Tensor dropout(Tensor input, double p = 0.5, bool training = true, bool inplace = false) =>
                Drop("dropout", input, p, training, inplace);

            public static Tensor alpha_dropout(Tensor input, double p = 0.5, bool training = false, bool inplace = false) =>
                Drop("alpha_dropout", input, p, training, inplace);

            public static Tensor feature_alpha_dropout(Tensor input, double p = 0.5, bool training = false, bool inplace = false) =>
                Drop("feature_alpha_dropout", input, p, training, inplace);

            public static Tensor dropout1d(Tensor input, double p = 0.5, bool training = true, bool inplace = false) =>
                DropChannels(input, 2, p, training, inplace);

            public static Tensor dropout2d(Tensor input, double p = 0.5, bool training = true, bool inplace = false) =>
                Drop("feature_dropout", input, p, training, inplace);

            public static Tensor dropout3d(Tensor input, double p = 0.5, bool training = true, bool inplace = false) =>
                Drop("feature_dropout", input, p, training, inplace);

            private static Tensor Drop(string name, Tensor input, double p, bool training, bool inplace) => inplace
                ? Ops.Tensor("alias", Ops.InPlace(name + "_", input, p, training))
                : Ops.Tensor(name, input, p, training);

            // The operator takes the first dimension for the batch: an input without one gets it for the call.
            private static Tensor DropChannels(Tensor input, long unbatched, double p, bool training, bool inplace)
            {
                if (input.Dimensions != unbatched) return Drop("feature_dropout", input, p, training, inplace);
                using Tensor batch = Ops.Tensor("unsqueeze", input, 0);
                using Tensor dropped = Drop("feature_dropout", batch, p, training, inplace);
                return Ops.Tensor("squeeze.dim", dropped, 0);
            }
        }
    }
}
