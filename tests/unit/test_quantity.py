"""Kubernetes quantities of memory, and sizes as people read them."""

import pytest

from mistral_operator.planning.quantity import gib, kib, parse_bytes


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("80Gi", 80 * 2**30),
        ("80G", 80 * 10**9),
        ("512Mi", 512 * 2**20),
        ("512M", 512 * 10**6),
        ("1Ti", 2**40),
        ("1T", 10**12),
        ("4Ki", 4096),
        ("4k", 4000),
        ("85899345920", 80 * 2**30),
        ("1.5Gi", 3 * 2**29),
        ("0.5Ki", 512),
        (" 80Gi\n", 80 * 2**30),
        ("1", 1),
    ],
)
def test_quantities(text: str, size_bytes: int) -> None:
    """Binary and decimal suffixes, fractions and plain bytes are read as Kubernetes reads them."""
    assert parse_bytes(text) == size_bytes


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "0", "0Gi", "0.0Gi", "0.5", "-80Gi", "+80Gi", "80GiB", "80GB", "80gi", "80 Gi", "80K", "80Pi", "1e9",
        "1e3Gi", "Gi", ".5Gi", "80.Gi", "1.1234567Gi", "0x50Gi", "1_000Gi", "nan", "inf", "1234567890123Gi",
        "٨Gi", "²Gi",
    ],
    ids=ascii,
)  # fmt: skip
def test_what_is_no_quantity(text: str) -> None:
    """Anything else, or nothing at all, is refused with the text in the sentence."""
    with pytest.raises(ValueError, match="is no amount of memory such as 80Gi") as refusal:
        parse_bytes(text)
    assert repr(text) in str(refusal.value)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0.0 GiB"),
        (1, "0 MiB"),
        (512 * 2**20, "512 MiB"),
        (972 * 2**20, "972 MiB"),
        (int(0.95 * 2**30) + 1, "1.0 GiB"),
        (2**30, "1.0 GiB"),
        (int(13.49 * 2**30), "13.5 GiB"),
        (141 * 2**30, "141.0 GiB"),
    ],
)
def test_gib(size_bytes: int, text: str) -> None:
    """Sizes are GiB with one digit, and MiB where that digit would hide them."""
    assert gib(size_bytes) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (131072, "128 KiB"),
        (163840, "160 KiB"),
        (12345, "12.06 KiB"),
    ],
)
def test_kib(size_bytes: int, text: str) -> None:
    """Small sizes are KiB with four digits at most, and bytes below one."""
    assert kib(size_bytes) == text
