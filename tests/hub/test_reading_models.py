"""What reading a model from a hub gives, costs and says when it fails, against a hub that misbehaves on demand."""

import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from devcluster.hub import EVERY_REPOSITORY, Exchange, Fault, HubServer, Kind
from mistral_operator.hub import HubError, HubReason, read_model
from mistral_operator.hub.errors import RateLimitedError
from mistral_operator.hub.remote import HubReader
from mistral_operator.planning.facts import WeightFormat

MISTRAL = "mistralai/Mistral-7B-v0.1"  # three shards with an index, config.json and params.json
MINISTRAL = "mistralai/Ministral-8B-Instruct-2410"  # both formats, and a branch of its own
PIXTRAL = "mistralai/Pixtral-12B-2409"  # params.json and consolidated.safetensors alone
TOKEN = "hf_NotARealTokenButUnmistakable"  # noqa: S105 - no secret: it is what must not be found in any message
GRANTED = frozenset({TOKEN})

Asked: TypeAlias = Callable[[], list[Exchange]]


@pytest.fixture(autouse=True)
def _no_implicit_token(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def server() -> Iterator[HubServer]:
    """Return one running hub for all tests, since stopping one takes half a second."""
    with HubServer() as hub:
        yield hub


@pytest.fixture
def hub(server: HubServer) -> Iterator[HubServer]:
    """Return a hub that serves the development models and has no faults yet."""
    yield server
    server.faults.clear()


@pytest.fixture
def asked(hub: HubServer) -> Asked:
    """Return what gives the requests since it was last called, at first since the test began."""
    seen = [len(hub.requests)]

    def since() -> list[Exchange]:
        seen.append(len(hub.requests))
        return hub.requests[seen[-2] :]

    return since


@pytest.fixture
def reader(hub: HubServer, tmp_path: Path) -> HubReader:
    """Return a reader of that hub, without token and with a cache of its own."""
    return HubReader(hub.url, token=False, cache_dir=tmp_path)


def with_token(reader: HubReader, token: str | bool | None = TOKEN) -> HubReader:
    """Return the same reader with another token."""
    return HubReader(reader.endpoint, token, reader.cache_dir, reader.timeout_seconds)


def failure(reader: HubReader, model: str = MISTRAL, revision: str = "main") -> HubError:
    """Return the error that a read ends with."""
    with pytest.raises(HubError) as caught:
        reader.read(model, revision)
    return caught.value


def everything_told(error: HubError) -> str:
    """Return all that a log or a status could show of an error."""
    return "".join([str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)])


def test_a_branch_becomes_the_commit_it_points_to(hub: HubServer, reader: HubReader) -> None:
    """Facts name the commit, so that a pod can be pinned to exactly what was planned."""
    facts = reader.read(MISTRAL)
    assert (facts.id, facts.revision, facts.commit) == (MISTRAL, "main", hub.commit(MISTRAL))
    assert facts.config is not None
    assert facts.config["sliding_window"] == 4096
    assert facts.params is not None
    assert facts.params["sliding_window"] == 4096
    assert facts.tokenizer_files == {"tokenizer.model"}


def test_every_file_is_asked_for_by_commit(hub: HubServer, reader: HubReader, asked: Asked) -> None:
    """A push between two requests cannot mix the files of two revisions."""
    reader.read(MISTRAL)
    files = [exchange.path for exchange in asked() if "/resolve/" in exchange.path]
    assert files
    assert all(f"/resolve/{hub.commit(MISTRAL)}/" in path for path in files)


def test_another_branch_is_another_model(hub: HubServer, reader: HubReader) -> None:
    """Two branches of one repository are read and cached apart."""
    main, branch = reader.read(MINISTRAL), reader.read(MINISTRAL, "with-layer_types")
    assert main.commit != branch.commit == hub.commit(MINISTRAL, "with-layer_types")
    assert main.config is not None
    assert branch.config is not None
    assert "layer_types" not in main.config
    assert "layer_types" in branch.config


def test_each_format_is_sized_by_itself(reader: HubReader) -> None:
    """A repository that holds its weights in both formats is as large as one of them."""
    facts = reader.read(MINISTRAL)
    assert [weights.format for weights in facts.weights] == [WeightFormat.HF, WeightFormat.MISTRAL]
    for weights in facts.weights:
        assert weights.parameters == 8_019_808_256
        assert weights.size_bytes == 2 * 8_019_808_256
        assert weights.dtypes == {"BF16": 8_019_808_256}


def test_a_repository_without_config_json_is_read_from_params_json(reader: HubReader) -> None:
    """Mistral's own layout alone is enough."""
    facts = reader.read(PIXTRAL)
    assert facts.config is None
    assert facts.params is not None
    assert [weights.format for weights in facts.weights] == [WeightFormat.MISTRAL]


def test_quantised_weights_count_as_stored(reader: HubReader) -> None:
    """Eight-bit weights take a byte each, and their dtypes say so."""
    weights = reader.read("mistralai/Devstral-2-123B-Instruct-2512").weights_in(WeightFormat.HF)
    assert weights is not None
    assert weights.dtypes.keys() == {"BF16", "F8_E4M3"}
    assert weights.size_bytes == 2 * weights.dtypes["BF16"] + weights.dtypes["F8_E4M3"]


def test_no_weight_is_ever_downloaded(hub: HubServer, reader: HubReader, asked: Asked) -> None:
    """Reading every model of the hub, hundreds of gigabytes, takes less than a megabyte for each."""
    for model in hub.repo_ids:
        reader.read(model)
    exchanges = asked()
    assert sum(exchange.body_bytes for exchange in exchanges) < 1_000_000 * len(hub.repo_ids)
    of_weights = [exchange for exchange in exchanges if exchange.path.endswith(".safetensors")]
    assert of_weights
    assert all(exchange.ranged for exchange in of_weights)


def test_a_known_commit_costs_no_request(hub: HubServer, reader: HubReader, asked: Asked) -> None:
    """What is pinned to a commit is read from the hub once."""
    first = reader.read(MISTRAL, hub.commit(MISTRAL))
    asked()
    assert reader.read(MISTRAL, hub.commit(MISTRAL)) == first
    assert asked() == []


def test_a_known_branch_costs_one_request(reader: HubReader, asked: Asked) -> None:
    """A branch may have moved, which takes one question."""
    first = reader.read(MISTRAL)
    asked()
    assert reader.read(MISTRAL) == first
    assert [exchange.method for exchange in asked()] == ["GET"]


def test_a_cache_that_cannot_be_read_back_is_no_cache(hub: HubServer, reader: HubReader, tmp_path: Path) -> None:
    """Whatever became of the cached files, the model is read from the hub again."""
    first = reader.read(MISTRAL, hub.commit(MISTRAL))
    for garbage in (b"", b"{", b"[]", b"\xff", b'{"format_version": 0}', b"[" * 100_000):
        for file in tmp_path.rglob("*.json"):
            file.write_bytes(garbage)
        assert reader.read(MISTRAL, hub.commit(MISTRAL)) == first


def test_a_cache_that_cannot_be_written_is_done_without(hub: HubServer, tmp_path: Path) -> None:
    """A read-only root filesystem costs requests, not the reading."""
    (tmp_path / "file").touch()
    reader = HubReader(hub.url, token=False, cache_dir=tmp_path / "file")
    assert reader.read(MISTRAL) == reader.read(MISTRAL)


@pytest.mark.parametrize(
    ("kind", "token", "reason", "says"),
    [
        (Kind.GATED, None, HubReason.GATED, "no token was sent"),
        (Kind.GATED, TOKEN, HubReason.GATED, "has not been granted access"),
        (Kind.PRIVATE, None, HubReason.NOT_FOUND_OR_NO_ACCESS, "no token was sent"),
        (Kind.PRIVATE, TOKEN, HubReason.NOT_FOUND_OR_NO_ACCESS, "this token may not see it"),
        (Kind.BAD_TOKEN, TOKEN, HubReason.BAD_TOKEN, "refuses the token"),
        (Kind.REVISION_MISSING, None, HubReason.REVISION_MISSING, "no revision 'main'"),
        (Kind.NO_CONFIG, None, HubReason.NO_CONFIG, "neither config.json nor params.json"),
        (Kind.GARBLED, None, HubReason.TORN_CONFIG, "config.json of"),
        (Kind.TORN, None, HubReason.HUB_UNREACHABLE, "config.json ended after 285 of 571 bytes"),
        (Kind.RATE_LIMITED, None, HubReason.RATE_LIMITED, "(429)"),
        (Kind.UNAVAILABLE, None, HubReason.HUB_UNREACHABLE, "HTTP status 503"),
        (Kind.DISABLED, None, HubReason.DISABLED, "has been disabled by"),
    ],
)
def test_each_fault_has_its_own_error(
    hub: HubServer, reader: HubReader, *, kind: Kind, token: str | None, reason: HubReason, says: str
) -> None:
    """An error names its reason, the model and the cause, and goes on with what to do."""
    hub.faults[MISTRAL] = Fault(kind)
    error = failure(with_token(reader, token or False))
    assert error.reason is reason
    assert says in error.message
    assert MISTRAL in error.message
    assert str(error) == f"{error.message} {error.next_step}"


@pytest.mark.parametrize("kind", [Kind.UNAVAILABLE, Kind.RATE_LIMITED, Kind.GATED, Kind.TORN, Kind.GARBLED])
def test_a_fault_that_heals_leaves_no_trace(hub: HubServer, reader: HubReader, kind: Kind) -> None:
    """The read after a failure succeeds: failures are not cached."""
    hub.faults[MISTRAL] = Fault(kind, seconds=1, times=1)
    failure(reader)
    assert reader.read(MISTRAL).commit == hub.commit(MISTRAL)


def test_what_waiting_may_heal_is_transient(hub: HubServer, reader: HubReader) -> None:
    """A controller retries what may pass by itself, and waits for a change with everything else."""
    transient = {}
    for kind in set(Kind) - {Kind.SLOW, Kind.BAD_TOKEN}:
        hub.faults[MISTRAL] = Fault(kind)
        transient[kind] = failure(reader).transient
    assert {kind for kind, value in transient.items() if value} == {Kind.UNAVAILABLE, Kind.RATE_LIMITED, Kind.TORN}


def test_a_rate_limit_is_reported_and_not_slept_through(hub: HubServer, reader: HubReader, asked: Asked) -> None:
    """The caller learns how many seconds to wait, after one request and at once."""
    hub.faults[EVERY_REPOSITORY] = Fault(Kind.RATE_LIMITED, seconds=42)
    error = failure(reader)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after_seconds == 42
    assert "Retry in 42 s" in error.next_step
    assert len(asked()) == 1


def test_a_hub_that_is_down_is_asked_once(hub: HubServer, reader: HubReader, asked: Asked) -> None:
    """Retrying is the caller's business: one 503 ends the read."""
    hub.faults[EVERY_REPOSITORY] = Fault(Kind.UNAVAILABLE)
    failure(reader)
    assert len(asked()) == 1


def test_a_slow_hub_is_left_when_the_time_is_up(hub: HubServer, tmp_path: Path) -> None:
    """A hub that does not answer costs the timeout, not a minute."""
    hub.faults[MISTRAL] = Fault(Kind.SLOW, seconds=60)
    started = time.monotonic()
    error = failure(HubReader(hub.url, token=False, cache_dir=tmp_path, timeout_seconds=0.2))
    assert time.monotonic() - started < 5
    assert error.reason is HubReason.HUB_UNREACHABLE
    assert "did not answer in time" in error.message


def test_a_hub_that_is_not_there_is_named(reader: HubReader, asked: Asked) -> None:
    """When nothing listens, the error names the address that was tried."""
    with HubServer() as gone:
        url = gone.url
    error = failure(HubReader(url, token=False, cache_dir=reader.cache_dir))
    assert (error.reason, error.transient) == (HubReason.HUB_UNREACHABLE, True)
    assert url in error.message
    assert asked() == []


@pytest.mark.parametrize("endpoint", ["localhost:8080", "ftp://hub.test", "http://[::1"])
def test_an_address_that_is_no_url_is_refused(tmp_path: Path, endpoint: str) -> None:
    """A mistyped endpoint is told apart from a hub that is down."""
    error = failure(HubReader(endpoint, token=False, cache_dir=tmp_path))
    assert (error.reason, error.transient) == (HubReason.INVALID_ENDPOINT, False)
    assert endpoint in error.message


def test_what_does_not_exist_is_said_to_be_missing_or_hidden(reader: HubReader) -> None:
    """A hub does not tell a missing model from a private one, and neither does the error."""
    error = failure(reader, "acme/there-is-no-such-model")
    assert error.reason is HubReason.NOT_FOUND_OR_NO_ACCESS
    assert "does not exist" in error.message
    assert "private" in error.message


def test_a_missing_revision_is_named(reader: HubReader) -> None:
    """The error quotes the revision as it was asked for."""
    error = failure(reader, revision="refs/pr/404")
    assert error.reason is HubReason.REVISION_MISSING
    assert "'refs/pr/404'" in error.message


@pytest.mark.parametrize("model", ["", "a/b/c", "a--b", "../../etc", "hf://a/b", "a b", "https://huggingface.co/a/b"])
def test_what_is_no_model_id_asks_nothing(reader: HubReader, model: str, asked: Asked) -> None:
    """A mistyped id is refused before any request, and before it names any file of the cache."""
    error = failure(reader, model)
    assert error.reason is HubReason.INVALID_MODEL_ID
    assert "folder" not in error.next_step  # an object's status says this, too
    assert asked() == []


def test_access_is_what_the_files_say(hub: HubServer, reader: HubReader, asked: Asked) -> None:
    """The listing of a gated model is public, so that only a file shows whether this token has access."""
    hub.faults[MISTRAL] = Fault(Kind.GATED, tokens=GRANTED)
    assert failure(reader).reason is HubReason.GATED
    assert [exchange.status for exchange in asked()] == [200, 401]
    assert with_token(reader).read(MISTRAL).commit == hub.commit(MISTRAL)


def test_a_cached_gated_model_stays_gated(hub: HubServer, reader: HubReader) -> None:
    """What one token may read is not planned for another that the pod could not use."""
    hub.faults[MISTRAL] = Fault(Kind.GATED, tokens=GRANTED)
    facts = with_token(reader).read(MISTRAL)
    assert failure(reader).reason is HubReason.GATED
    assert with_token(reader).read(MISTRAL) == facts


def test_the_token_of_the_machine_is_sent_unless_told_not_to(
    reader: HubReader, monkeypatch: pytest.MonkeyPatch, asked: Asked
) -> None:
    """``token=None`` means HF_TOKEN, ``token=False`` means none."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with_token(reader, None).read(MISTRAL)
    assert {exchange.token for exchange in asked()} == {TOKEN}
    with_token(reader, token=False).read(PIXTRAL)
    assert {exchange.token for exchange in asked()} == {None}


def test_a_token_from_a_mounted_file_may_end_with_a_newline(reader: HubReader, asked: Asked) -> None:
    """White space around a token is not sent."""
    with_token(reader, f"{TOKEN}\n").read(MISTRAL)
    assert {exchange.token for exchange in asked()} == {TOKEN}


@pytest.mark.parametrize("token", ["", " \n", f"{TOKEN}\nx", f"{TOKEN} x", f"{TOKEN}ü", f"{TOKEN}\x00"])
def test_a_token_that_no_header_can_carry_is_refused(reader: HubReader, token: str, asked: Asked) -> None:
    """A broken token is named as the cause before anything is sent."""
    error = failure(with_token(reader, token))
    assert error.reason is HubReason.BAD_TOKEN
    assert "HF_TOKEN" not in error.next_step  # the status of an object, whose token is a Secret's, says this, too
    assert TOKEN not in everything_told(error)
    assert asked() == []


@pytest.mark.parametrize("kind", list(Kind))
def test_no_error_tells_the_token(hub: HubServer, reader: HubReader, kind: Kind) -> None:
    """Neither an error, its traceback nor the reader's repr holds the token."""
    hub.faults[MISTRAL] = Fault(kind, seconds=60)
    quick = HubReader(hub.url, TOKEN, reader.cache_dir, timeout_seconds=0.2)
    error = failure(quick)
    assert TOKEN not in everything_told(error)
    assert TOKEN not in repr(quick)


def test_no_error_tells_the_password_of_an_endpoint(hub: HubServer, tmp_path: Path) -> None:
    """Credentials in a mirror's URL are neither shown nor kept."""
    hub.faults[MISTRAL] = Fault(Kind.UNAVAILABLE)
    mirror = HubReader(hub.url.replace("//", "//user:pa55word@"), token=False, cache_dir=tmp_path)
    error = failure(mirror)
    assert "pa55word" not in everything_told(error) + repr(mirror)
    hub.faults.clear()
    mirror.read(MISTRAL)
    assert not [path for path in tmp_path.rglob("*") if "pa55word" in str(path)]


def test_offline_a_model_that_was_read_is_read_again(
    hub: HubServer, reader: HubReader, tmp_path: Path, asked: Asked
) -> None:
    """Without asking, a branch means the commit it was last seen at."""
    facts = reader.read(MISTRAL)
    asked()
    offline = HubReader(hub.url, token=False, cache_dir=tmp_path, offline=True)
    assert offline.read(MISTRAL) == facts
    assert offline.read(MISTRAL, hub.commit(MISTRAL)).config == facts.config
    assert failure(offline, PIXTRAL).reason is HubReason.OFFLINE
    assert failure(offline, MISTRAL, "../main").reason is HubReason.OFFLINE
    assert asked() == []


def test_the_offline_switch_of_the_process_holds(
    hub: HubServer, reader: HubReader, tmp_path: Path, asked: Asked
) -> None:
    """HF_HUB_OFFLINE=1 forbids every request, and says so in the error."""
    reader.read(MISTRAL)
    asked()
    script = """
import sys
from pathlib import Path
from mistral_operator.hub import HubError, read_model
url, cache, *models = sys.argv[1:]
for model in models:
    try:
        print(read_model(model, endpoint=url, token=False, cache_dir=Path(cache)).commit)
    except HubError as error:
        print(error.reason)
"""
    command = [sys.executable, "-c", script, hub.url, str(tmp_path), MISTRAL, PIXTRAL]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)  # noqa: S603 - ours
    assert told.stdout.split() == [hub.commit(MISTRAL), "Offline"]
    assert asked() == []


def test_one_hub_does_not_answer_for_another(hub: HubServer, reader: HubReader) -> None:
    """Two hubs may use one name for different models, so that neither is read from the other's cache."""
    reader.read(MISTRAL)
    with HubServer() as other:
        HubReader(other.url, token=False, cache_dir=reader.cache_dir).read(MISTRAL, hub.commit(MISTRAL))
        assert other.requests != []


def test_read_model_reads_ids_from_the_hub(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is neither written as a path nor an existing folder is an id."""
    monkeypatch.chdir(tmp_path)
    facts = read_model(MISTRAL, endpoint=f"{hub.url}/", token=False, cache_dir=tmp_path / "cache")
    assert facts.commit == hub.commit(MISTRAL)
