"""What reading says about repositories that contradict themselves, and about servers that are no hubs."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from huggingface_hub import close_session

from devcluster.hub import HubServer
from mistral_operator.hub import HubError, HubReason
from mistral_operator.hub.errors import RateLimitedError
from mistral_operator.hub.json_file import MAX_INDEX_BYTES
from mistral_operator.hub.remote import HubReader
from mistral_operator.planning.facts import ModelFacts, WeightFormat

MODEL = "acme/model"
COMMIT = "0123456789abcdef0123456789abcdef01234567"

Answer: TypeAlias = tuple[int, bytes, Mapping[str, str]]  # status, body, headers


def safetensors(elements: int) -> bytes:
    """Return a safetensors file of one tensor of that many two-byte elements."""
    tensor = {"dtype": "BF16", "shape": [elements], "data_offsets": [0, 2 * elements]}
    header = json.dumps({"tensor": tensor}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(2 * elements)


SHARDS = {
    "model-00001-of-00002.safetensors": safetensors(1000),
    "model-00002-of-00002.safetensors": safetensors(500),
}
WEIGHT_MAP = {"tensor": "model-00001-of-00002.safetensors"}


def read_repository(tmp_path: Path, files: Mapping[str, bytes]) -> tuple[ModelFacts, list[str]]:
    """Serve a repository of these files beside a config.json; return what is read and the files asked for."""
    folder = tmp_path / "models" / MODEL.replace("/", "__")
    for name, content in {"config.json": b"{}", **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    with HubServer(tmp_path / "models") as hub:
        facts = HubReader(hub.url, token=False, cache_dir=tmp_path / "cache").read(MODEL)
        names = [exchange.path.rpartition("/")[2] for exchange in hub.requests if "/resolve/" in exchange.path]
    return facts, names


@pytest.mark.parametrize(("total", "tensors"), [(3000, 0), (3000.0, 0), (3000, 70_000)])
def test_an_index_that_fits_its_files_spares_their_headers(tmp_path: Path, total: float, tensors: int) -> None:
    """The total of a sharded checkpoint is one request, however many shards and experts there are."""
    shard = next(iter(SHARDS))
    experts = {f"layers.{number % 61}.experts.{number}.w2.qscale_weight": shard for number in range(tensors)}
    index = json.dumps({"metadata": {"total_size": total}, "weight_map": {**WEIGHT_MAP, **experts}}).encode()
    facts, asked = read_repository(tmp_path, {**SHARDS, "model.safetensors.index.json": index})
    assert [weights.size_bytes for weights in facts.weights] == [3000]
    assert asked == ["config.json", "model.safetensors.index.json"]


@pytest.mark.parametrize(
    "index",
    [
        pytest.param({"metadata": {"total_size": 30_000_000_000}}, id="of a larger checkpoint"),
        pytest.param({"metadata": {"total_size": 0}}, id="of nothing"),
        pytest.param({"metadata": {"total_size": float("nan")}}, id="no number"),
        pytest.param({"metadata": {"total_size": "3000"}}, id="text"),
        pytest.param({"metadata": []}, id="a list"),
        pytest.param({}, id="no metadata"),
        pytest.param(None, id="missing"),
    ],
)
def test_an_index_that_does_not_fit_is_not_believed(tmp_path: Path, index: dict[str, Any] | None) -> None:
    """Indexes are copied from other checkpoints: the headers are the truth."""
    files = dict(SHARDS)
    if index is not None:
        files["model.safetensors.index.json"] = json.dumps({**index, "weight_map": WEIGHT_MAP}).encode()
    facts, asked = read_repository(tmp_path, files)
    [weights] = facts.weights
    assert (weights.size_bytes, weights.parameters, weights.dtypes) == (3000, 1500, {"BF16": 1500})
    assert set(SHARDS) <= set(asked)


def test_an_index_too_long_to_read_is_spared(tmp_path: Path) -> None:
    """Of a hundred thousand experts' tensors, say: the headers tell, and the model is served."""
    index = json.dumps({"metadata": {"total_size": 3000}, "weight_map": WEIGHT_MAP}).encode() + b" " * MAX_INDEX_BYTES
    facts, asked = read_repository(tmp_path, {**SHARDS, "model.safetensors.index.json": index})
    assert [weights.size_bytes for weights in facts.weights] == [3000]
    assert set(asked) == {"config.json", *SHARDS}


def test_pickled_and_foreign_weights_are_sized_by_the_listing(tmp_path: Path) -> None:
    """Nothing is asked for of files that have no header, or that lie below the root."""
    files = {"pytorch_model.bin": bytes(700), "model-q4.gguf": bytes(9), "onnx/model.onnx": bytes(9)}
    facts, asked = read_repository(tmp_path, files)
    assert [(weights.format, weights.size_bytes) for weights in facts.weights] == [(WeightFormat.HF, 700)]
    assert facts.other_weights == {"model-q4.gguf"}
    assert asked == ["config.json"]


def test_torn_weights_on_a_hub_are_named(tmp_path: Path) -> None:
    """An upload that was cut short is told as such, and not planned for."""
    with pytest.raises(HubError, match=r"^model\.safetensors of acme/model is cut short") as caught:
        read_repository(tmp_path, {"model.safetensors": safetensors(1000)[:-1]})
    assert caught.value.reason is HubReason.TORN_WEIGHTS


LISTING = {
    "sha": COMMIT,
    "gated": False,
    "siblings": [{"rfilename": "config.json", "size": 2}, {"rfilename": "model.safetensors", "size": 300_000}],
}


@contextmanager
def serving(answers: Mapping[str, Answer]) -> Iterator[str]:
    """Serve fixed answers by the end of the path, ignoring Range, at the URL yielded."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            status, body, headers = next(answer for end, answer in answers.items() if path.endswith(end))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(body)
            except ConnectionError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Write nothing to the test's output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def failure(tmp_path: Path, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> HubError:
    """Return the error of a read from a server that answers everything like this."""
    with serving({"": (status, body, headers or {})}) as url, pytest.raises(HubError) as caught:
        HubReader(url, token=False, cache_dir=tmp_path).read(MODEL)
    assert MODEL in caught.value.message
    assert url in caught.value.message
    return caught.value


def without(key: str) -> bytes:
    """Return the listing without one of its keys."""
    return json.dumps({name: value for name, value in LISTING.items() if name != key}).encode()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"<html>Please sign in</html>", id="a login page"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"\xff", id="no text"),
        pytest.param(b"[" * 100_000, id="nested"),
        pytest.param(without("sha"), id="no commit"),
        pytest.param(without("siblings"), id="no files"),
        pytest.param(json.dumps({**LISTING, "sha": "../../main"}).encode(), id="a path for a commit"),
        pytest.param(json.dumps({**LISTING, "siblings": [{"rfilename": "config.json"}]}).encode(), id="no sizes"),
        pytest.param(json.dumps({**LISTING, "safetensors": []}).encode() + b"x", id="more than JSON"),
    ],
)
def test_what_does_not_describe_a_model_is_no_hub(tmp_path: Path, body: bytes) -> None:
    """A proxy's page in the hub's place is told apart from a hub that is down."""
    error = failure(tmp_path, 200, body)
    assert (error.reason, error.transient) == (HubReason.UNEXPECTED_ANSWER, False)


@pytest.mark.parametrize("body", [b"<html>", b'"down"', b"[]", b"\xff", b"[" * 100_000, b'{"errors": 1}', b""])
@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, HubReason.NOT_FOUND_OR_NO_ACCESS),
        (403, HubReason.FORBIDDEN),
        (404, HubReason.UNEXPECTED_ANSWER),
        (407, HubReason.UNEXPECTED_ANSWER),
        (408, HubReason.HUB_UNREACHABLE),
        (502, HubReason.HUB_UNREACHABLE),
    ],
)
def test_the_body_of_an_error_does_not_matter(tmp_path: Path, status: int, reason: HubReason, body: bytes) -> None:
    """Whatever a proxy writes into an error, its status is what counts."""
    assert failure(tmp_path, status, body, {"Content-Type": "application/json"}).reason is reason


def test_a_refusal_quotes_the_hub(tmp_path: Path) -> None:
    """What the hub says about a token's scope is passed on, cut to a line."""
    error = failure(tmp_path, 403, b"", {"X-Error-Message": "Please enable access to gated repositories. " * 99})
    assert "HTTP status 403: Please enable access to gated repositories." in error.message
    assert len(error.message) < 400


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"RateLimit": '"api";r=0;t=55', "Retry-After": "7"}, 55),
        ({"RateLimit": '"api";r=9;t=55', "Retry-After": "7"}, 7),
        ({"Retry-After": "120"}, 120),
        ({"Retry-After": "Wed, 21 Oct 2065 07:28:00 GMT"}, None),
        ({}, None),
    ],
)
def test_the_wait_is_what_the_hub_says(tmp_path: Path, headers: dict[str, str], seconds: float | None) -> None:
    """The hub's own header counts where nothing remains, Retry-After otherwise, and silence is no number."""
    error = failure(tmp_path, 429, b"", headers)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after_seconds == seconds


@pytest.mark.parametrize(
    "headers",
    [
        {"RateLimit": '"api";r=0;t=' + "9" * 4500},
        {"RateLimit": '"api";r=0;t=' + "9" * 400},
        {"RateLimit": '"api";r=' + "0" * 4500 + ";t=5"},
        {"RateLimit-Policy": '"api";q=' + "9" * 4500 + ";w=300", "RateLimit": '"api";r=0;t=5'},
        {"Retry-After": "9" * 4500},
        {"Retry-After": "9" * 400},
        {"Retry-After": "-5"},
        {"Retry-After": "1e999"},
        {"Retry-After": "٣"},
    ],
)
def test_a_wait_that_is_no_number(tmp_path: Path, headers: dict[str, str]) -> None:
    """Nothing that a header says ends the read in another way."""
    error = failure(tmp_path, 429, b"", {name: value.encode().decode("latin-1") for name, value in headers.items()})
    assert isinstance(error, RateLimitedError)
    assert error.retry_after_seconds in (None, 5)


NUMBERS = ["1e999", "-1e999", "NaN", "1" + "0" * 20, "9" * 5000, "-1", "2.5", '"7"', "null", "true", "[1]", "{}"]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_size_that_is_none(tmp_path: Path, number: str) -> None:
    """A listing whose sizes are no sizes is no hub's."""
    body = f'{{"sha":"{COMMIT}","siblings":[{{"rfilename":"config.json","size":{number}}}]}}'
    error = failure(tmp_path, 200, body.encode())
    assert (error.reason, error.transient) == (HubReason.UNEXPECTED_ANSWER, False)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_count_of_parameters_that_is_none(tmp_path: Path, number: str) -> None:
    """What a hub counts is a help; where it is no number, the files are counted on, or the answer is not JSON."""
    body = f'{{"sha":"{COMMIT}","siblings":[],"safetensors":{{"parameters":{{"BF16":{number}}}}}}}'
    reasons = {HubReason.NO_CONFIG, HubReason.UNEXPECTED_ANSWER} if number.startswith("99") else {HubReason.NO_CONFIG}
    with serving({"": (200, body.encode(), {})}) as url, pytest.raises(HubError) as caught:
        HubReader(url, token=False, cache_dir=tmp_path).read(MODEL)
    assert caught.value.reason in reasons


@pytest.mark.parametrize("number", [*NUMBERS, "3000.5", "0", "9223372036854775808"])
def test_a_total_that_is_none(tmp_path: Path, number: str) -> None:
    """An index is believed where it fits its files; one that is not JSON is told as such."""
    index = f'{{"metadata":{{"total_size":{number}}},"weight_map":{{}}}}'.encode()
    if number.startswith("99"):
        with pytest.raises(HubError, match="too many digits"):
            read_repository(tmp_path, {**SHARDS, "model.safetensors.index.json": index})
        return
    facts, _ = read_repository(tmp_path, {**SHARDS, "model.safetensors.index.json": index})
    assert [weights.size_bytes for weights in facts.weights] == [3000]


def test_a_shard_of_absurdly_many(tmp_path: Path) -> None:
    """Numbers in names are numbers only as far as anybody would count."""
    for digits, named in (("9" * 9, "is missing"), ("9" * 200, "")):
        name = f"model-1-of-{digits}.safetensors"
        if named:
            with pytest.raises(HubError, match="is missing"):
                read_repository(tmp_path / "promised", {name: safetensors(4)})
        else:
            facts, _ = read_repository(tmp_path / "other", {name: safetensors(4)})
            assert (facts.weights, facts.other_weights) == ((), frozenset({name}))


def test_an_endless_redirect_is_unreachable(tmp_path: Path) -> None:
    """A hub that sends its readers in circles ends the read."""
    assert failure(tmp_path, 302, b"", {"Location": "/again"}).reason is HubReason.HUB_UNREACHABLE


def test_a_body_that_ends_early_is_unreachable(tmp_path: Path) -> None:
    """A connection lost in the middle of an answer may be tried again."""
    error = failure(tmp_path, 200, b"{", {"Content-Length": "100", "Connection": "close"})
    assert (error.reason, error.transient) == (HubReason.HUB_UNREACHABLE, True)


def test_a_server_that_ignores_ranges_is_read_no_further_than_needed(tmp_path: Path) -> None:
    """A mirror without Range support gives the same facts, long headers included."""
    tensors = {
        f"{number}": {"dtype": "U8", "shape": [1], "data_offsets": [number, number + 1]} for number in range(3000)
    }
    header = json.dumps(tensors).encode()
    weights = len(header).to_bytes(8, "little") + header + bytes(5000)
    siblings = [{"rfilename": "config.json", "size": 2}, {"rfilename": "model.safetensors", "size": len(weights)}]
    answers: dict[str, Answer] = {
        "/revision/main": (200, json.dumps({**LISTING, "siblings": siblings}).encode(), {}),
        f"/resolve/{COMMIT}/config.json": (200, b"{}", {}),
        f"/resolve/{COMMIT}/model.safetensors": (200, weights, {}),
    }
    with serving(answers) as url:
        facts = HubReader(url, token=False, cache_dir=tmp_path).read(MODEL)
    assert facts.weights[0].dtypes == {"U8": 3000}


def test_a_listing_that_is_too_long_is_told_as_such(tmp_path: Path) -> None:
    """Thousands of files are read, hundreds of thousands refused before they fill the operator's memory."""

    def with_files(count: int) -> dict[str, Answer]:
        lfs = {"sha256": "0" * 64, "size": 5, "pointerSize": 135}
        others = [
            {"rfilename": f"data/{number:06}.parquet", "size": 5, "blobId": COMMIT, "lfs": lfs}
            for number in range(count)
        ]
        siblings = [{"rfilename": "config.json", "size": 2}, *others]
        return {
            "/revision/main": (200, json.dumps({**LISTING, "siblings": siblings}).encode(), {}),
            f"/resolve/{COMMIT}/config.json": (200, b"{}", {}),
        }

    with serving(with_files(7000)) as url:
        assert HubReader(url, token=False, cache_dir=tmp_path / "thousands").read(MODEL).config == {}
    too_large = r"^the list of files of acme/model is larger than 2 MiB, .* pin another revision\.$"
    with serving(with_files(20_000)) as url, pytest.raises(HubError, match=too_large) as caught:
        HubReader(url, token=False, cache_dir=tmp_path / "many").read(MODEL)
    assert caught.value.reason is HubReason.CONFIG_TOO_LARGE


def test_a_listed_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A weight file that the listing promises and the hub denies leaves the size unknown."""
    answers: dict[str, Answer] = {
        "/revision/main": (200, json.dumps(LISTING).encode(), {}),
        f"/resolve/{COMMIT}/config.json": (200, b"{}", {}),
        f"/resolve/{COMMIT}/model.safetensors": (404, b"", {"X-Error-Code": "EntryNotFound"}),
    }
    with serving(answers) as url, pytest.raises(HubError, match=r"^model\.safetensors of acme/model ") as caught:
        HubReader(url, token=False, cache_dir=tmp_path).read(MODEL)
    assert caught.value.reason is HubReason.TORN_WEIGHTS


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", HubReason.TORN_CONFIG), (b'{"a": ', HubReason.TORN_CONFIG), (b" " * (2 << 20), HubReason.CONFIG_TOO_LARGE)],
)
def test_a_config_that_is_none_is_named(tmp_path: Path, content: bytes, reason: HubReason) -> None:
    """An empty, torn or huge config.json is told as such, from a hub as from a folder."""
    listing = {"sha": COMMIT, "siblings": [{"rfilename": "config.json", "size": len(content)}]}
    answers: dict[str, Answer] = {
        "/revision/main": (200, json.dumps(listing).encode(), {}),
        f"/resolve/{COMMIT}/config.json": (200, content, {}),
    }
    with serving(answers) as url, pytest.raises(HubError, match=r"^config\.json of acme/model is ") as caught:
        HubReader(url, token=False, cache_dir=tmp_path).read(MODEL)
    assert caught.value.reason is reason


@pytest.mark.parametrize(("name", "value"), [("HTTP_PROXY", "nonsense://proxy"), ("SSL_CERT_FILE", "/missing.pem")])
def test_settings_that_no_client_can_use_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """A mistyped proxy or a missing file of certificates does not end in a traceback."""
    monkeypatch.setenv(name, value)
    close_session()  # the client is made once for the process, from the environment of that moment
    try:
        with pytest.raises(HubError, match="no request can be made") as caught:
            HubReader("http://hub.test", token=False, cache_dir=tmp_path).read(MODEL)
    finally:
        close_session()
    assert caught.value.reason is HubReason.HUB_UNREACHABLE
