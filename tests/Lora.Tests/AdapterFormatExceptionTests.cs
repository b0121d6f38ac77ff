namespace Lora.Tests;

public class AdapterFormatExceptionTests
{
    [Fact]
    public void One_problem_stands_behind_the_path()
    {
        var exception = new AdapterFormatException("a/b", "it is empty.");
        Assert.Equal("a/b: it is empty.", exception.Message);
        Assert.Equal("a/b", exception.Path);
        Assert.Equal(["it is empty."], exception.Problems);
    }

    [Fact]
    public void Several_problems_are_listed() =>
        Assert.Equal("a/b has 2 problems:\n  - one\n  - two", new AdapterFormatException("a/b", ["one", "two"]).Message);

    [Fact]
    public void Without_a_problem_there_is_no_exception() => Assert.Throws<ArgumentException>(() => new AdapterFormatException("a", []));
}
