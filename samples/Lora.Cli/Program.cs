// The command-line tool `lora`: looks at adapters and models, merges, converts, exports and compares them.
using Lora.Cli;

using var cancellation = new CancellationTokenSource();
Console.CancelKeyPress += (_, press) =>
{
    press.Cancel = true;
    cancellation.Cancel();
};
return Tool.Run(args, Console.Out, Console.Error, cancellation.Token);
