# Writes CharacterRanges.Data.cs: general categories as of Unicode 8.0, from Perl's own tables (any Perl 5.20 or later).
#
#     perl generate_ranges.pl > CharacterRanges.Data.cs
#
# Hugging Face's library decides what BERT calls punctuation, marks and control characters by tables of Unicode 8.0, so a
# character that is younger than that counts as none of these. Ranges are hexadecimal: 21-23, or one code point alone.
use strict;
use warnings;
no warnings "utf8";

# [name, category now, changed since to it, changed since from it]
my @sets = (
    ["PunctuationData", qr/\p{P}/, [], [0x166D, 0x111C9]],
    ["NonSpacingMarksData", qr/\p{Mn}/, [0x1885, 0x1886, 0xA9BD, 0x111C9], [0x1734]],
    ["ControlsAndFormatsData", qr/[\p{Cc}\p{Cf}]/, [], []],
);
print "namespace Lora.Llm.Tokenization;\n\n// Unicode 8.0. Written by generate_ranges.pl, which explains the format.\ninternal sealed partial class CharacterRanges\n{\n";
my $first = 1;
for my $set (@sets) {
    my ($name, $category, $later, $earlier) = @$set;
    my %later = map { $_ => 1 } @$later;
    my %earlier = map { $_ => 1 } @$earlier;
    my @ranges;
    for my $point (0 .. 0x10FFFF) {
        next if $point >= 0xD800 && $point < 0xE000;
        my $character = chr $point;
        next unless $earlier{$point} || (!$later{$point} && $character =~ $category && $character =~ /\p{Present_In: 8.0}/);
        if (@ranges && $ranges[-1][1] == $point - 1) { $ranges[-1][1] = $point } else { push @ranges, [$point, $point] }
    }
    my $text = join " ", map { $_->[0] == $_->[1] ? sprintf("%X", $_->[0]) : sprintf("%X-%X", @$_) } @ranges;
    my @lines = $text =~ /(.{1,150}(?: |$))/g;
    print "\n" unless $first;
    $first = 0;
    print "    private const string $name =\n", join(" +\n", map { "        \"$_\"" } @lines), ";\n";
}
print "}\n";
