using System.Reflection;
using System.Runtime.InteropServices;

namespace TorchSharp.Interop;

/// <summary>Finds libSystemTorch.so: beside this assembly, beside the application, or on the loader's path.</summary>
internal static class NativeLoader
{
    internal static IntPtr Resolve(string name, Assembly assembly, DllImportSearchPath? searchPath)
    {
        if (name != "SystemTorch") return IntPtr.Zero;
        string file = "lib" + name + ".so";
        string[] folders = [Path.GetDirectoryName(assembly.Location) ?? "", AppContext.BaseDirectory];
        foreach (string folder in folders.Where(f => f.Length > 0))
        {
            string path = Path.Combine(folder, file);
            if (File.Exists(path)) return NativeLibrary.Load(path);
        }
        if (NativeLibrary.TryLoad(file, out IntPtr handle)) return handle;
        throw new DllNotFoundException(
            $"{file} was not found in {string.Join(" or ", folders)} nor on the loader's path. It is built by eng/setup.sh from src/SystemTorch/native against the libtorch of the machine.");
    }
}
