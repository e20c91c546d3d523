"""Words of others: one line, nothing that a terminal acts on, no secrets, in time that is linear in the text."""

import sys
import time
import unicodedata
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mistral_vllm.plain_text import encodable, plain_text, without_secrets

_HEX: Final = "0123456789abcdef" * 4
# every pattern's own beginnings and ends, which random text would seldom put together
_PIECES: Final = st.sampled_from(
    [
        "\x1b", "[", "]0;", "\x07", "\x1b\\", "\x9b", "\x9c", "\x9d", "31m", " ", "\n", "\u202e", "\u200d", "\ud800",
        "…", "hf_", "sk-", "Bearer ", "token", "api_key", "=", ": ", "'", '"', "abcdefgh12345678", "eyJ", ".", "://",
        "@", "/", "?", "&", "sig=", "Authorization", "--api-key", "Cookie", "[", "gh", "p_",
    ]
)  # fmt: skip


@pytest.mark.parametrize(
    ("words", "plain"),
    [
        pytest.param("CUDA out of memory", "CUDA out of memory", id="plain already"),
        pytest.param(" a\r\n\tb\u2028c\x85d ", "a b c d", id="one line"),
        pytest.param("\x1b[2J\x1b[31mred\x1b[0m", "red", id="CSI"),
        pytest.param("\x1b]0;title\x07a\x1b]8;;https://x\x1b\\link\x1b]8;;\x1b\\", "alink", id="OSC with its text"),
        pytest.param("\x1b]0;never ends", "0;never ends", id="OSC without an end swallows nothing"),
        pytest.param("\x9b2Ja\x9d0;title\x9cb\x90q\x1b\\c", "abc", id="C1"),
        pytest.param("\x1bPq\x1b\\a\x1b(Bb\x1b7c\x1b", "abc", id="DCS, charsets, two characters, one"),
        pytest.param("a\x00b\x07c\x7fd", "a b c d", id="NUL, BEL, DEL"),
        pytest.param("gpj\u202eexe.\u2066x\u2069\u200f", "gpjexe.x", id="bidirectional"),
        pytest.param("a\u200bb\ufeffc\u00ad\U000e0041", "abc", id="invisible"),
        pytest.param("\ud800a\udfff\ufffe", "\ufffda\ufffd\ufffd", id="no characters"),
        pytest.param("🚀 é中 👩\u200d🚀", "🚀 é中 👩\u200d🚀", id="four bytes, and joined"),
    ],
)
def test_words(words: str, plain: str) -> None:
    """Nothing is left that a terminal, YAML or a reader takes for something else."""
    assert plain_text(words) == plain


@pytest.mark.parametrize(
    ("words", "plain"),
    [
        ("token hf_abcdefghijklmnopqrstuv is refused", "token hf_… is refused"),
        ("hf_\x1b[0mabcdefghijklmnop", "hf_…"),
        ("hf_\u200babcdefghijklmnop", "hf_…"),
        ("api_org_abcdefghijklm", "api_org_…"),
        ("sk-live-0123456789 sk-proj-abc_def-ghi", "sk-… sk-…"),
        ("ghp_0123456789abcdef github_pat_0123456789abc glpat-0123456789abc", "ghp_… github_pat_… glpat-…"),
        ("nvapi-0123456789abc AKIAIOSFODNN7EXAMPLE", "nvapi-… AKIA…"),
        ("eyJhbGciOiJSUzI1.eyJpc3MiOiJrdWI.c2lnbmF0dXJl", "eyJ…"),
        ("Authorization: Bearer abc", "Authorization: …"),
        ("{'Authorization': 'Basic dTpw', 'a': 1}", "{'Authorization': '…', 'a': 1}"),
        ("sent Bearer abcdefghijk", "sent Bearer …"),
        ("https://user:p@ss@hub.example/x", "https://…@hub.example/x"),
        ("GET https://h/x?a=1&X-Amz-Signature=0a1b&b=2", "GET https://h/x?a=1&X-Amz-Signature=…&b=2"),
        ("https://h/x?Policy=p&Signature=s~&Key-Pair-Id=K", "https://h/x?Policy=…&Signature=…&Key-Pair-Id=…"),
        ("https://h/x?sig=a%2Fb&sv=1", "https://h/x?sig=…&sv=1"),
        (
            "non-default args: {'api_key': ['s3cr3t'], 'port': 8000}",
            "non-default args: {'api_key': ['…'], 'port': 8000}",
        ),
        ('{"hf_token": "x", "password": "y"}', '{"hf_token": "…", "password": "…"}'),
        ("vllm serve m --api-key s3cr3t-key --port 1", "vllm serve m --api-key … --port 1"),
        ("HF_TOKEN=abcdefgh AWS_SECRET_ACCESS_KEY=abc/def+gh", "HF_TOKEN=… AWS_SECRET_ACCESS_KEY=…"),
    ],
)
def test_secrets(words: str, plain: str) -> None:
    """What lets somebody in is left out, and what it was stays recognizable."""
    assert plain_text(words) == plain


@pytest.mark.parametrize(
    "words",
    [
        "Secret hf has no key token; add the key token to Secret hf, or correct the reference in spec",
        "TokenSecretMissing: spec.hfTokenSecretRef: create it",
        "planned for 8,192 tokens; max_num_batched_tokens=131072 image_token_id=151655, add_bos_token=False",
        "Bearer token is refused; bearer authentication failed",
        "see https://hub.example/mistralai/Mistral-7B-v0.1?tab=readme and pod m-5b8c: user@host",
        f"no image sha256:{_HEX}",
        "HF_TOKEN (or hf auth login); tokenizer_mode=mistral",
        "task-scheduler risk-free sk-2",
    ],
)
def test_no_secrets(words: str) -> None:
    """What only speaks of secrets is repeated as it is."""
    assert plain_text(words) == words


@given(st.text() | st.lists(_PIECES | st.characters()).map("".join))
def test_plain_is_plain(words: str) -> None:
    """Any text becomes one that is encodable, one line, free of controls, and that does not change again."""
    plain = plain_text(words)
    assert not plain.encode().splitlines()[1:]
    assert not {"Cc", "Zl", "Zp", "Cs"} & {unicodedata.category(character) for character in plain}
    assert plain_text(plain) == plain
    assert without_secrets(plain) == plain


def test_every_character() -> None:
    """Not one code point gets through that a terminal acts on."""
    left = set(plain_text(" ".join(map(chr, range(sys.maxunicode + 1)))))
    assert not {"Cc", "Zl", "Zp", "Cs"} & {unicodedata.category(character) for character in left}
    assert not {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"} & {
        unicodedata.bidirectional(character) for character in left
    }


def test_encodable() -> None:
    """Surrogates alone are replaced, and nothing else."""
    assert encodable("a\x00🚀\ud83d\ude80\u202e") == "a\x00🚀\ufffd\ufffd\u202e"


@pytest.mark.parametrize(
    "piece",
    [
        "\x1b", "\x1b[", "\x1b[0", "\x1b]", "\x9d", "\x90a", "\x9b0", "eyJaaaaaaaa-", "eyJaaaaaaaa.", "hf_", "sk-",
        "ghp_", "://", "a@", "bearer", "bearer ", "bearer\t\t\t", "token='", "'token  ", "token=", "&sig=",
        "authorization: ", "cookie: '", "--api-key ", "secret", "password_", "=&_-",
    ],
)  # fmt: skip
def test_time_is_linear(piece: str) -> None:
    """Four times the text takes far less than sixteen times as long: a pod may write what it likes."""

    def seconds(size: int) -> float:
        words = (f"@'{piece}" + piece * (size // len(piece)))[:size]
        return min(_measured(words) for _ in range(3))

    assert seconds(2**15) < 10 * seconds(2**13) + 0.02


def _measured(words: str) -> float:
    begun = time.process_time()
    plain_text(words)
    return time.process_time() - begun
