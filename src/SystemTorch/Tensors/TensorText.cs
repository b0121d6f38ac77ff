using System.Globalization;
using System.Text;
using static TorchSharp.torch;
using Style = TorchSharp.TensorStringStyle;

namespace TorchSharp;

/// <summary>Writes the elements of a tensor as the package does. Of a dimension longer than six it shows the first and the last three.</summary>
internal sealed class TensorText(Tensor tensor, Style style, string format, CultureInfo culture, string newLine)
{
    private const int Edge = 3;
    private const int Everything = 1000;

    private readonly long[] _shape = tensor.shape;
    private readonly ScalarType _type = tensor.dtype;
    private readonly StringBuilder _text = new();
    private string[] _elements;

    internal static string Metadata(Tensor t) =>
        string.Create(CultureInfo.InvariantCulture, $"[{string.Join('x', t.shape)}], type = {t.dtype}, device = {t.device}");

    internal string Write()
    {
        string head = Metadata(tensor);
        if (style == Style.Metadata || tensor.is_meta || _type is ScalarType.ComplexFloat32 or ScalarType.ComplexFloat64) return head;
        Read();
        switch (style)
        {
            case Style.Numpy:
                Brackets(0, 0);
                return _text.ToString();
            case Style.CSharp:
                return CSharp(head);
            default:
                return Julia(head);
        }
    }

    private string Julia(string head)
    {
        _text.Append(head);
        if (_shape.Length == 0) return _text.Append(", value = ").Append(_elements[0]).ToString();
        _text.Append(newLine);
        long columns = _shape[^1], rows = columns == 0 ? 0 : _elements.Length / columns;
        int width = _elements.Length == 0 ? 0 : _elements.Max(e => e.Length);
        for (long row = 0; row < rows; row++)
        {
            if (_shape.Length > 2 && row % _shape[^2] == 0) _text.Append(Slab(row)).Append(newLine);
            foreach (long column in Shown(columns)) _text.Append(' ').Append(column < 0 ? "..." : _elements[row * columns + column].PadLeft(width));
            _text.Append(newLine);
        }
        return _text.ToString();
    }

    // The coordinates of the matrix that a row of a tensor with more than two dimensions begins.
    private string Slab(long row)
    {
        long matrix = row / _shape[^2];
        string place = "..,..]";
        for (int d = _shape.Length - 3; d >= 0; d--)
        {
            place = (matrix % _shape[d]).ToString(CultureInfo.InvariantCulture) + "," + place;
            matrix /= _shape[d];
        }
        return "[" + place + " =";
    }

    private string CSharp(string head)
    {
        _text.Append(head).Append(", value = ");
        if (_shape.Length == 0) return _text.Append(_elements[0]).ToString();
        string type = _type switch
        {
            ScalarType.Byte => "byte",
            ScalarType.Int8 => "sbyte",
            ScalarType.Int16 => "short",
            ScalarType.Int32 => "int",
            ScalarType.Int64 => "long",
            ScalarType.Float64 => "double",
            ScalarType.Bool => "bool",
            ScalarType.Float16 => "float16",
            ScalarType.BFloat16 => "bfloat16",
            _ => "float",
        };
        if (_shape.Length > 1) _text.Append(newLine);
        _text.Append(type).Append(" [").Append(',', _shape.Length - 1).Append("] ");
        Braces(0, 0);
        return _text.ToString();
    }

    private void Braces(int dimension, long first)
    {
        if (dimension == _shape.Length - 1)
        {
            _text.Append('{');
            Row(_shape[dimension], first);
            _text.Append('}');
            return;
        }
        _text.Append('{');
        long step = Step(dimension);
        long before = -1; // no comma at the start, nor after the dots
        foreach (long i in Shown(_shape[dimension]))
        {
            _text.Append(before >= 0 ? "," : "").Append(newLine).Append(' ', dimension + 1);
            if (i < 0) _text.Append("...");
            else Braces(dimension + 1, first + i * step);
            before = i;
        }
        _text.Append(newLine).Append(' ', dimension).Append('}');
    }

    private void Brackets(int dimension, long first)
    {
        if (dimension == _shape.Length)
        {
            _text.Append(_elements[first]);
            return;
        }
        _text.Append('[');
        if (dimension == _shape.Length - 1) Row(_shape[dimension], first);
        else
        {
            bool started = false;
            long step = Step(dimension);
            foreach (long i in Shown(_shape[dimension]))
            {
                // Matrices stand a blank line apart.
                if (started) _text.Insert(_text.Length, newLine, _shape.Length - 1 - dimension).Append(' ', dimension + 1);
                started = true;
                if (i < 0) _text.Append("...");
                else Brackets(dimension + 1, first + i * step);
            }
        }
        _text.Append(']');
    }

    // "0, 1, 2, ... 7, 8, 9"
    private void Row(long length, long first)
    {
        long last = length - 1;
        foreach (long i in Shown(length)) _text.Append(i < 0 ? "... " : _elements[first + i]).Append(i < 0 || i == last ? "" : ", ");
    }

    private long Step(int dimension)
    {
        long step = 1;
        for (int d = dimension + 1; d < _shape.Length; d++) step *= _shape[d];
        return step;
    }

    // -1 stands for those left out.
    private IEnumerable<long> Shown(long length)
    {
        bool all = length <= 2 * Edge || (style == Style.Julia && _elements.Length <= Everything);
        for (long i = 0; i < (all ? length : Edge); i++) yield return i;
        if (all) yield break;
        yield return -1;
        for (long i = length - Edge; i < length; i++) yield return i;
    }

    private void Read()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor here = tensor.detach().cpu();
        if (is_floating_point(_type))
        {
            string suffix = style == Style.CSharp && _shape.Length > 0 ? "f" : "";
            _elements = _type == ScalarType.Float64
                ? Array.ConvertAll(here.data<double>().ToArray(), d => d.ToString(format, culture))
                : Array.ConvertAll(here.to(ScalarType.Float32).data<float>().ToArray(), f => f.ToString(format, culture) + suffix);
        }
        else if (_type == ScalarType.Bool)
        {
            _elements = Array.ConvertAll(here.data<bool>().ToArray(), b => b ? "True" : "False");
        }
        else
        {
            string suffix = style == Style.CSharp && _type == ScalarType.Int64 ? "L" : "";
            _elements = Array.ConvertAll(here.to(ScalarType.Int64).data<long>().ToArray(), i => i.ToString(culture) + suffix);
        }
    }
}
