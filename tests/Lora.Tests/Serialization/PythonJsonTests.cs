using Lora.Serialization;

namespace Lora.Tests.Serialization;

/// <summary>The expectations are what Python's <c>repr</c> and <c>json.dumps</c> give.</summary>
public class PythonJsonTests
{
    [Theory]
    [InlineData(0.0, "0.0")]
    [InlineData(-0.0, "-0.0")]
    [InlineData(16.0, "16.0")]
    [InlineData(0.05, "0.05")]
    [InlineData(0.0001, "0.0001")]
    [InlineData(0.00001, "1e-05")]
    [InlineData(1.5e-7, "1.5e-07")]
    [InlineData(-2.5, "-2.5")]
    [InlineData(11.313708498984761, "11.313708498984761")]
    [InlineData(0.1 + 0.2, "0.30000000000000004")]
    [InlineData(123456.75, "123456.75")]
    [InlineData(1e15, "1000000000000000.0")]
    [InlineData(1e16, "1e+16")]
    [InlineData(1.7976931348623157e308, "1.7976931348623157e+308")]
    [InlineData(5e-324, "5e-324")]
    public void Floats_are_written_as_Python_writes_them(double value, string expected) => Assert.Equal(expected, PythonJson.Float(value));

    [Theory]
    [InlineData(16.0, "16")]
    [InlineData(-8.0, "-8")]
    [InlineData(0.5, "0.5")]
    public void Whole_numbers_have_no_point(double value, string expected) => Assert.Equal(expected, PythonJson.Number(value));

    [Fact]
    public void Text_is_ASCII() => Assert.Equal(
        """
        "a\"\\/\b\f\n\r\t\u0001\u007f\u00e9\ud83d\ude00"
        """,
        PythonJson.Quote("a\"\\/\b\f\n\r\t\u0001\u007fé😀"));

    [Fact]
    public void Nested_values_are_indented() => Assert.Equal(
        """
        {
          "a": [],
          "b": {},
          "c": [
            1,
            {
              "d": 1.50
            }
          ]
        }
        """,
        PythonJson.Format(PythonJson.Parse("""{"a":[],"b":{},"c":[1,{"d":1.50}]}""").EnumerateObject().Select(property => KeyValuePair.Create(property.Name, property.Value))));
}
