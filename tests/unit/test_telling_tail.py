"""What is kept of a process's output: its last lines, whole, in little memory."""

from mistral_vllm.telling.tail import Tail


def test_everything_of_a_short_output() -> None:
    """The last line too, although it has not ended."""
    tail = Tail()
    tail.add(1, b"a\nb\nc")
    assert tail.text() == "a\nb\nc"


def test_streams_do_not_tear_each_other_s_lines() -> None:
    """A line stands where it ended."""
    tail = Tail()
    tail.add(1, b"one ")
    tail.add(2, b"two ")
    tail.add(1, b"and a half\nthree ")
    tail.add(2, b"halves\n")
    assert tail.text() == "one and a half\ntwo halves\nthree "
    tail.add(2, b"four")
    assert tail.text() == "one and a half\ntwo halves\nthree \nfour"


def test_old_lines_are_forgotten() -> None:
    """However much is said, and in however large pieces."""
    tail = Tail(limit_bytes=100)
    for number in range(1000):
        tail.add(1, b"%04d\n" % number)
    assert tail.text().splitlines() == [f"{number:04}" for number in range(980, 1000)]
    tail.add(1, b"x" * 1000 + b"\nlast\n")
    assert tail.text().endswith("x\nlast\n")
    assert len(tail.text()) == 100


def test_a_line_without_an_end() -> None:
    """A progress bar overwrites itself for hours; its end is kept."""
    tail = Tail(limit_bytes=100)
    for number in range(1000):
        tail.add(1, b"%04d\r" % number)
    assert tail.text().endswith("0998\r0999\r")
    assert len(tail.text()) == 100


def test_bytes_that_are_no_text() -> None:
    """They are replaced: the termination log is text."""
    tail = Tail()
    tail.add(1, b"\xff\n")
    assert tail.text() == "�\n"
