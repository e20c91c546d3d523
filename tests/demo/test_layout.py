"""What the demo does to kubectl's output so that it fits a screen."""

from devcluster.demo.layout import excerpt, fold_table, wrap

TABLE = """\
NAME   MODEL             WINDOW   READY   COMMIT
a      mistralai/one     4096     True    0123456789
long   mistralai/other            False   9876543210
"""


def test_a_table_that_fits_is_left_alone() -> None:
    """Only spaces at the ends of lines go."""
    assert fold_table(TABLE, 80) == TABLE.rstrip()


def test_a_wide_table_is_folded_between_columns() -> None:
    """Each part fits, and joined they are the table again."""
    folded = fold_table(TABLE, 34)
    parts = [part.splitlines() for part in folded.split("\n\n")]
    assert all(len(line) <= 34 for part in parts for line in part)
    assert [part[0].split() for part in parts] == [["NAME", "MODEL", "WINDOW"], ["READY", "COMMIT"]]
    rows = [" ".join(lines).split() for lines in zip(*parts, strict=True)]
    assert rows == [line.split() for line in TABLE.splitlines()]


def test_a_column_wider_than_the_screen_stands_alone() -> None:
    """A cell is never broken."""
    assert fold_table("A   B\n1   " + "x" * 30, 20).split("\n\n") == ["A\n1", "B\n" + "x" * 30]


def test_long_values_hang_below_their_beginning() -> None:
    """Words move, and nothing else changes."""
    line = "    Message:  one two three four five six"
    assert wrap(line, 30).splitlines() == ["    Message:  one two three", "              four five six"]


def test_a_word_wider_than_the_screen_is_not_broken() -> None:
    """It can still be copied."""
    line = "  Selector:  " + "x" * 40
    assert wrap(line, 30) == line


def test_short_lines_are_left_alone() -> None:
    """Indentation included."""
    assert wrap("  a:   b\n\n    c", 20) == "  a:   b\n\n    c"


def test_an_excerpt_begins_at_a_section_and_counts_what_it_leaves_out() -> None:
    """Deeper lines belong to what is left out, the next name does not."""
    description = """\
Name:  m
Status:
  Phase:  Ready
  Resolved:
    Args:
      one
      two
  URL:  http://m
Events:  <none>
"""
    assert excerpt(description, "Status", without=("Resolved",)).splitlines() == [
        "Status:",
        "  Phase:  Ready",
        "  Resolved:  … (3 lines)",
        "  URL:  http://m",
        "Events:  <none>",
    ]
