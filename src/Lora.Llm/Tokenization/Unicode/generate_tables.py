"""Writes UnicodeTables.Data.cs: decompositions and combining classes, from Python's unicodedata (any Python 3.11: Unicode 14).

    python3 generate_tables.py > UnicodeTables.Data.cs

.NET's string.Normalize returns its argument unchanged where the application runs with invariant globalization, so the
library carries the data. The text below is deflated and written as base64. Its lines:
    C0=41 300     canonical decomposition that also composes
    344-308 301   canonical decomposition that does not compose (exclusions, singletons)
    FB01~66 69    compatibility decomposition
    300:E6        canonical combining class
"""
import base64
import sys
import unicodedata
import zlib

lines = []
for cp in list(range(0x80, 0xAC00)) + list(range(0xD7A4, 0xD800)) + list(range(0xE000, 0x110000)):
    c = chr(cp)
    d = unicodedata.decomposition(c)
    if d:
        parts = d.split()
        if parts[0].startswith("<"):
            sign, parts = "~", parts[1:]
        else:
            sign = "=" if len(parts) == 2 and unicodedata.normalize("NFC", c) == c else "-"
        lines.append(f"{cp:X}{sign}" + " ".join(f"{int(p, 16):X}" for p in parts))
    k = unicodedata.combining(c)
    if k:
        lines.append(f"{cp:X}:{k:X}")
packer = zlib.compressobj(9, zlib.DEFLATED, -15)
blob = base64.b64encode(packer.compress("\n".join(lines).encode()) + packer.flush()).decode()
out = ["namespace Lora.Llm.Tokenization;", "", f"// Unicode {unicodedata.unidata_version}. Written by generate_tables.py, which explains the format.",
       "internal static partial class UnicodeTables", "{", "    private const string Data ="]
width = 172
chunks = [blob[i:i + width] for i in range(0, len(blob), width)]
out += [f'        "{c}"' + (" +" if i + 1 < len(chunks) else ";") for i, c in enumerate(chunks)]
out += ["}"]
sys.stdout.write("\n".join(out) + "\n")
