namespace Samples;

/// <summary>What the command line of a lesson asks for.</summary>
internal interface ILessonSettings
{
    /// <summary>Whether <c>--help</c> is among the arguments.</summary>
    bool AsksForHelp { get; }
}
