"""The development hub, asked by the real huggingface_hub."""

import http.client
import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from huggingface_hub import HfApi, constants, try_to_load_from_cache
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    NotASafetensorsRepoError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import _CACHED_NO_EXIST
from huggingface_hub.hf_api import RepoFile, RepoFolder
from huggingface_hub.utils._http import parse_ratelimit_headers
from huggingface_hub.utils._safetensors import SafetensorsFileMetadata

from devcluster.hub import EVERY_REPOSITORY, MODELS, Fault, HubServer, Kind

MISTRAL = "mistralai/Mistral-7B-v0.1"
INSTRUCT = "mistralai/Mistral-7B-Instruct-v0.3"
MINISTRAL = "mistralai/Ministral-8B-Instruct-2410"
DEVSTRAL = "mistralai/Devstral-2-123B-Instruct-2512"
PIXTRAL = "mistralai/Pixtral-12B-2409"
TINY = "Locutusque/TinyMistral-248M"

PARAMETERS = {
    MISTRAL: 7_241_732_096,
    "mistralai/Mistral-7B-Instruct-v0.1": 7_241_732_096,
    INSTRUCT: 7_248_023_552,
    "mistralai/Mixtral-8x7B-Instruct-v0.1": 46_702_792_704,
    "mistralai/Mistral-Nemo-Instruct-2407": 12_247_782_400,
    MINISTRAL: 8_019_808_256,
    "mistralai/Ministral-3-3B-Reasoning-2512": 3_849_090_048,
    "mistralai/Codestral-22B-v0.1": 22_247_282_688,
    "mistralai/Mistral-Small-3.1-24B-Instruct-2503": 24_011_361_280,
    DEVSTRAL: 125_025_988_608,
    "intfloat/e5-mistral-7b-instruct": 7_110_660_096,
    TINY: 248_024_064,
}

# Nemo's decoder, 24 vision blocks with patches of 16, and the adapter with its biases: in BF16 25.37 GB, the sum of
# the shards of mistral-community/pixtral-12b.
PIXTRAL_PARAMETERS = 12_682_739_712


@pytest.fixture
def hub() -> Iterator[HubServer]:
    """Serve the packaged models."""
    with HubServer() as server:
        yield server


@pytest.fixture
def api(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HfApi:
    """Ask the hub anonymously, with a cache of its own."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return HfApi(endpoint=hub.url, token=False)


def with_token(hub: HubServer, token: str) -> HfApi:
    """Ask the hub with a token."""
    return HfApi(endpoint=hub.url, token=token)


def parameters(*files: SafetensorsFileMetadata) -> int:
    """Count what the model card would count: everything but the scales of quantised layers."""
    return sum(
        math.prod(tensor.shape)
        for file in files
        for name, tensor in file.tensors.items()
        if "scale" not in name.rpartition(".")[2]
    )


def folder_of(repo_id: str) -> Path:
    """Find where the files of a packaged repository come from."""
    return MODELS / repo_id.replace("/", "__")


class TestReading:
    """A hub without faults."""

    @pytest.mark.parametrize("repo_id", [*PARAMETERS, PIXTRAL])
    def test_configs_arrive_as_they_are(self, hub: HubServer, api: HfApi, repo_id: str) -> None:
        """Every packaged config and params file is downloaded byte for byte."""
        for name in ("config.json", "params.json"):
            if (source := folder_of(repo_id) / name).exists():
                assert Path(api.hf_hub_download(repo_id, name)).read_bytes() == source.read_bytes()
        assert repo_id in hub.repo_ids

    def test_every_packaged_repository_is_known_here(self, hub: HubServer) -> None:
        """The parameter counts below cover every repository that is served."""
        assert set(hub.repo_ids) == {*PARAMETERS, PIXTRAL}

    def test_a_branch_is_pinned_by_its_commit(self, hub: HubServer, api: HfApi) -> None:
        """A branch has files and a commit of its own, and the commit alone finds the same files."""
        main, branch = (api.model_info(MINISTRAL, revision=name) for name in (None, "with-layer_types"))
        assert (main.sha, branch.sha) == (hub.commit(MINISTRAL), hub.commit(MINISTRAL, "with-layer_types"))
        assert main.sha != branch.sha
        assert re.fullmatch("[0-9a-f]{40}", str(branch.sha))
        config = json.loads(Path(api.hf_hub_download(MINISTRAL, "config.json", revision=branch.sha)).read_text())
        assert "layer_types" in config
        assert not api.file_exists(MINISTRAL, "params.json")
        assert api.file_exists(MINISTRAL, "params.json", revision=branch.sha)

    def test_commits_do_not_change_between_runs(self, hub: HubServer) -> None:
        """Two servers of the same folder give every repository the same commit."""
        with HubServer() as other:
            assert [hub.commit(name) for name in hub.repo_ids] == [other.commit(name) for name in other.repo_ids]

    def test_a_commit_changes_with_the_contents(self, tmp_path: Path) -> None:
        """One changed byte of a config gives another commit."""
        config = tmp_path / "acme__model" / "config.json"
        config.parent.mkdir()
        commits = []
        for text in ('{"a": 1}', '{"a": 2}'):
            config.write_text(text)
            with HubServer(tmp_path) as server:
                commits.append(server.commit("acme/model"))
        assert commits[0] != commits[1]

    def test_a_cached_file_of_a_commit_costs_no_request(self, hub: HubServer, api: HfApi) -> None:
        """The second download by commit asks the hub nothing."""
        sha = hub.commit(MISTRAL)
        api.hf_hub_download(MISTRAL, "config.json", revision=sha)
        assert [exchange.method for exchange in hub.requests] == ["HEAD", "GET"]
        api.hf_hub_download(MISTRAL, "config.json", revision=sha)
        assert len(hub.requests) == 2

    def test_an_absent_file_is_remembered_by_commit(self, hub: HubServer, api: HfApi) -> None:
        """The answer for a missing file carries the commit that clients file the absence under."""
        with pytest.raises(RemoteEntryNotFoundError):
            api.hf_hub_download(TINY, "params.json")
        cached = try_to_load_from_cache(
            TINY, "params.json", cache_dir=constants.HF_HUB_CACHE, revision=hub.commit(TINY)
        )
        assert cached is _CACHED_NO_EXIST

    def test_model_info_describes_the_model(self, api: HfApi) -> None:
        """The model info has the config's type, the parameters per dtype, and access flags."""
        info = api.model_info(MISTRAL)
        assert info.config == {"architectures": ["MistralForCausalLM"], "model_type": "mistral"}
        assert info.safetensors is not None
        assert info.safetensors.parameters == {"BF16": PARAMETERS[MISTRAL]}
        assert (info.gated, info.private, info.disabled) == (False, False, False)

    def test_expand_returns_only_what_is_wanted(self, api: HfApi) -> None:
        """With expand, properties that were not asked for are left out."""
        info = api.model_info(MISTRAL, expand=["gated", "safetensors"])
        assert info.safetensors is not None
        assert info.sha is None
        assert info.siblings is None

    def test_sizes_agree_in_all_listings(self, hub: HubServer, api: HfApi) -> None:
        """Model info, tree and paths info give each file the same size and ids, and weights are in git-lfs."""
        siblings = api.model_info(INSTRUCT, files_metadata=True).siblings or []
        entries = {entry.path: entry for entry in api.list_repo_tree(INSTRUCT, recursive=True)}
        again = {entry.path: entry for entry in api.get_paths_info(INSTRUCT, [*entries, "absent"])}
        assert {sibling.rfilename for sibling in siblings} == entries.keys() == again.keys()
        for sibling in siblings:
            entry = entries[sibling.rfilename]
            assert isinstance(entry, RepoFile)
            assert (entry.size, entry.blob_id, entry.lfs) == (sibling.size, sibling.blob_id, sibling.lfs)
            assert (entry.lfs is not None) == entry.path.endswith(".safetensors")
            metadata = api.get_hf_file_metadata(url=f"{hub.url}/{INSTRUCT}/resolve/main/{entry.path}")
            assert metadata.size == entry.size
            assert metadata.etag == (entry.lfs.sha256 if entry.lfs else entry.blob_id)
            assert metadata.commit_hash == hub.commit(INSTRUCT)

    @pytest.mark.parametrize(
        ("repo_id", "expected"),
        [
            (MISTRAL, {"tokenizer.model", "params.json", "model-00003-of-00003.safetensors"}),
            (INSTRUCT, {"tokenizer.model.v3", "consolidated.safetensors", "model.safetensors.index.json"}),
            (TINY, {"tokenizer.json", "config.json", "model.safetensors"}),
            (PIXTRAL, {"tekken.json", "params.json", "consolidated.safetensors"}),
        ],
    )
    def test_layouts_are_those_of_the_manifest(self, api: HfApi, repo_id: str, expected: set[str]) -> None:
        """Each repository lists the weights and tokenizer files it is known for, and no manifest."""
        files = set(api.list_repo_files(repo_id))
        assert expected <= files
        assert "repo.json" not in files


class TestWeights:
    """Headers without bodies."""

    @pytest.mark.parametrize("repo_id", PARAMETERS)
    def test_parameter_counts_are_the_published_ones(self, hub: HubServer, api: HfApi, repo_id: str) -> None:
        """The headers of a checkpoint add up to the model's parameters, and nothing but headers is read."""
        metadata = api.get_safetensors_metadata(repo_id)
        assert parameters(*metadata.files_metadata.values()) == PARAMETERS[repo_id]
        assert metadata.weight_map == {
            tensor: name for name, file in metadata.files_metadata.items() for tensor in file.tensors
        }
        reads = [one for one in hub.requests if one.method == "GET" and one.path.endswith(".safetensors")]
        assert all(one.ranged and one.status == HTTPStatus.PARTIAL_CONTENT for one in reads)
        assert sum(one.body_bytes for one in reads) < 200_002 * len(metadata.files_metadata)

    @pytest.mark.parametrize(("repo_id", "total"), [(PIXTRAL, PIXTRAL_PARAMETERS), (INSTRUCT, 7_248_023_552)])
    def test_consolidated_counts(self, api: HfApi, repo_id: str, total: int) -> None:
        """Mistral's own layout adds up to the same model under its own names."""
        metadata = api.parse_safetensors_file_metadata(repo_id, "consolidated.safetensors")
        assert parameters(metadata) == total
        assert {"tok_embeddings.weight", "layers.0.attention.wq.weight", "output.weight"} <= metadata.tensors.keys()

    def test_a_consolidated_repository_has_no_transformers_weights(self, api: HfApi) -> None:
        """Readers of the transformers layout find none where only Mistral's exists."""
        with pytest.raises(NotASafetensorsRepoError):
            api.get_safetensors_metadata(PIXTRAL)
        assert api.model_info(PIXTRAL).safetensors is None

    def test_quantised_layers_have_scales(self, api: HfApi) -> None:
        """Static fp8 stores linear layers in one byte with two scalars each, and keeps the head and embeddings."""
        files = api.get_safetensors_metadata(DEVSTRAL).files_metadata.values()
        tensors = {name: tensor for file in files for name, tensor in file.tensors.items()}
        at = "model.layers.87.mlp.down_proj"
        # huggingface_hub's annotation does not know all the dtypes that it parses.
        assert str(tensors[f"{at}.weight"].dtype) == "F8_E4M3"
        for scale in ("weight_scale_inv", "activation_scale"):
            assert (tensors[f"{at}.{scale}"].dtype, tensors[f"{at}.{scale}"].shape) == ("BF16", [])
        for name in ("lm_head", "model.embed_tokens", "model.norm"):
            assert tensors[f"{name}.weight"].dtype == "BF16"

    def test_tied_and_multimodal_names(self, api: HfApi) -> None:
        """A tied multimodal model nests its decoder and has no head."""
        weights = api.get_safetensors_metadata("mistralai/Ministral-3-3B-Reasoning-2512").weight_map
        assert "language_model.model.embed_tokens.weight" in weights
        assert "language_model.lm_head.weight" not in weights
        assert "vision_tower.transformer.layers.23.feed_forward.gate_proj.weight" in weights
        assert "multi_modal_projector.patch_merger.merging_layer.weight" in weights

    def test_shards_have_the_sizes_of_the_real_ones(self, api: HfApi) -> None:
        """The first shard of Mistral-7B is as long as the one on the public hub."""
        entries = {entry.path: entry for entry in api.list_repo_tree(MISTRAL) if isinstance(entry, RepoFile)}
        assert entries["model-00001-of-00003.safetensors"].size == 4_943_162_336

    def test_one_request_gives_all_headers(self, hub: HubServer, api: HfApi) -> None:
        """The route for all shards at once agrees with the shards themselves."""
        at_once = api.get_sharded_safetensors_metadata(MISTRAL)
        assert len(hub.requests) == 1
        one_by_one = api.get_safetensors_metadata(MISTRAL)
        assert at_once.files_metadata == one_by_one.files_metadata
        assert at_once.metadata == one_by_one.metadata == {"total_size": 2 * PARAMETERS[MISTRAL]}

    def test_bodies_are_zeros(self, hub: HubServer) -> None:
        """Bytes past the header are zeros, up to the last one of the announced size."""
        url = f"{hub.url}/{MISTRAL}/resolve/main/model-00003-of-00003.safetensors"
        size = int(httpx2.head(url).headers["Content-Length"])
        answer = httpx2.get(url, headers={"Range": f"bytes={size - 3_000_000}-"})
        assert answer.headers["Content-Range"] == f"bytes {size - 3_000_000}-{size - 1}/{size}"
        assert answer.content == bytes(3_000_000)


class TestRanges:
    """Range requests, on a file small enough to compare."""

    @pytest.mark.parametrize(
        ("asked", "expected"),
        [("bytes=0-4", slice(0, 5)), ("bytes=5-", slice(5, None)), ("bytes=-7", slice(-7, None))],
    )
    def test_one_range_is_sent(self, hub: HubServer, asked: str, expected: slice) -> None:
        """First-last, open and suffix ranges give exactly those bytes."""
        answer = httpx2.get(f"{hub.url}/{MISTRAL}/resolve/main/config.json", headers={"Range": asked})
        assert answer.status_code == HTTPStatus.PARTIAL_CONTENT
        assert answer.content == (folder_of(MISTRAL) / "config.json").read_bytes()[expected]

    @pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "bytes=9-2", "bytes=-", "lines=1-2"])
    def test_other_ranges_are_ignored(self, hub: HubServer, asked: str) -> None:
        """Several ranges, reversed ones and other units give the whole file."""
        answer = httpx2.get(f"{hub.url}/{MISTRAL}/resolve/main/config.json", headers={"Range": asked})
        assert answer.status_code == HTTPStatus.OK
        assert answer.content == (folder_of(MISTRAL) / "config.json").read_bytes()

    def test_a_range_past_the_end_is_refused(self, hub: HubServer) -> None:
        """A start beyond the file's end is answered with its size."""
        answer = httpx2.get(f"{hub.url}/{MISTRAL}/resolve/main/config.json", headers={"Range": "bytes=9999-"})
        assert answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
        assert answer.headers["Content-Range"] == "bytes */571"


class TestFaults:
    """What each fault looks like through huggingface_hub."""

    def test_gated_needs_a_granted_token(self, hub: HubServer, api: HfApi) -> None:
        """Files of a gated repository are refused with 401 or 403, its info is public, and a grant opens it."""
        hub.faults[MISTRAL] = Fault(Kind.GATED, tokens=frozenset({"hf_granted"}))
        assert api.model_info(MISTRAL).gated == "manual"
        assert "config.json" in api.list_repo_files(MISTRAL)
        for reader, status in ((api, HTTPStatus.UNAUTHORIZED), (with_token(hub, "hf_x"), HTTPStatus.FORBIDDEN)):
            with pytest.raises(GatedRepoError) as refused:
                reader.hf_hub_download(MISTRAL, "config.json")
            assert refused.value.response.status_code == status
            with pytest.raises(GatedRepoError):
                reader.auth_check(MISTRAL)
        granted = with_token(hub, "hf_granted")
        granted.auth_check(MISTRAL)
        granted.hf_hub_download(MISTRAL, "config.json")
        assert {one.token for one in hub.requests[-3:]} == {"hf_granted"}

    def test_private_looks_like_missing(self, hub: HubServer, api: HfApi) -> None:
        """A private repository and one that does not exist answer alike, and a granted token sees the former."""
        hub.faults[MISTRAL] = Fault(Kind.PRIVATE, tokens=frozenset({"hf_granted"}))
        for repo_id in (MISTRAL, "mistralai/absent"):
            for reader in (api, with_token(hub, "hf_x")):
                with pytest.raises(RepositoryNotFoundError) as refused:
                    reader.model_info(repo_id)
                assert not isinstance(refused.value, GatedRepoError)
                with pytest.raises(RepositoryNotFoundError):
                    reader.hf_hub_download(repo_id, "config.json")
        assert with_token(hub, "hf_granted").model_info(MISTRAL).sha == hub.commit(MISTRAL)

    def test_a_bad_token_is_refused_everywhere(self, hub: HubServer, api: HfApi) -> None:
        """An unknown token gets a plain 401, while anonymous and known ones pass."""
        hub.faults[EVERY_REPOSITORY] = Fault(Kind.BAD_TOKEN, tokens=frozenset({"hf_known"}))
        with pytest.raises(HfHubHTTPError, match="Invalid credentials") as refused:
            with_token(hub, "hf_x").model_info(MISTRAL)
        assert type(refused.value) is HfHubHTTPError
        assert refused.value.response.status_code == HTTPStatus.UNAUTHORIZED
        for reader in (api, with_token(hub, "hf_known")):
            assert reader.model_info(MISTRAL).id == MISTRAL

    def test_a_revision_can_be_missing(self, hub: HubServer, api: HfApi) -> None:
        """A revision that never existed and one that the fault hides are both reported as such."""
        with pytest.raises(RevisionNotFoundError):
            api.model_info(MISTRAL, revision="v9")
        hub.faults[MISTRAL] = Fault(Kind.REVISION_MISSING)
        with pytest.raises(RevisionNotFoundError):
            api.hf_hub_download(MISTRAL, "config.json", revision=hub.commit(MISTRAL))

    def test_configs_can_be_missing(self, hub: HubServer, api: HfApi) -> None:
        """Without configs, neither listings nor downloads know them, and the weights stay."""
        hub.faults[INSTRUCT] = Fault(Kind.NO_CONFIG)
        files = api.list_repo_files(INSTRUCT)
        assert "consolidated.safetensors" in files
        assert api.model_info(INSTRUCT).config is None
        for name in ("config.json", "params.json"):
            assert name not in files
            with pytest.raises(RemoteEntryNotFoundError):
                api.hf_hub_download(INSTRUCT, name)

    def test_a_torn_config_heals(self, hub: HubServer, api: HfApi) -> None:
        """A file torn once downloads without complaint, holds half the bytes, and is whole the next time."""
        hub.faults[MISTRAL] = Fault(Kind.TORN, times=1)
        whole = (folder_of(MISTRAL) / "config.json").read_bytes()
        half = Path(api.hf_hub_download(MISTRAL, "config.json")).read_bytes()
        assert half == whole[: len(whole) // 2]
        assert MISTRAL not in hub.faults
        healed = Path(api.hf_hub_download(MISTRAL, "config.json", force_download=True))
        assert healed.read_bytes() == whole

    def test_a_rate_limit_says_when_it_ends(self, hub: HubServer, api: HfApi) -> None:
        """A 429 carries the seconds in both headers that clients read."""
        hub.faults[EVERY_REPOSITORY] = Fault(Kind.RATE_LIMITED, seconds=54.2)
        with pytest.raises(HfHubHTTPError, match="Retry after 55 seconds") as refused:
            api.model_info(MISTRAL)
        assert refused.value.response.status_code == HTTPStatus.TOO_MANY_REQUESTS
        headers = refused.value.response.headers
        limit = parse_ratelimit_headers(headers)
        assert limit is not None
        assert (limit.resource_type, limit.remaining, limit.reset_in_seconds) == ("api", 0, 55)
        assert headers["Retry-After"] == "55"

    def test_an_outage_ends_after_its_times(self, hub: HubServer, api: HfApi) -> None:
        """A fault for two requests fails two requests and lets the third pass."""
        hub.faults[MISTRAL] = Fault(Kind.UNAVAILABLE, times=2)
        for _ in range(2):
            with pytest.raises(HfHubHTTPError) as refused:
                api.model_info(MISTRAL)
            assert refused.value.response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        assert api.model_info(MISTRAL).sha == hub.commit(MISTRAL)
        assert not hub.faults

    def test_requests_that_a_fault_does_not_change_are_not_counted(self, hub: HubServer, api: HfApi) -> None:
        """A gate for one download is still shut after the model info was read."""
        hub.faults[MISTRAL] = Fault(Kind.GATED, times=1)
        api.model_info(MISTRAL)
        with pytest.raises(GatedRepoError):
            api.hf_hub_download(MISTRAL, "config.json")
        api.hf_hub_download(MISTRAL, "config.json")

    def test_a_slow_hub_times_out(self, hub: HubServer, api: HfApi) -> None:
        """A reader that waits less than the delay gets a timeout, and stopping the hub does not wait for it."""
        hub.faults[MISTRAL] = Fault(Kind.SLOW, seconds=3600)
        with pytest.raises(httpx2.ReadTimeout):
            api.model_info(MISTRAL, timeout=0.05)

    def test_a_disabled_repository_is_named_so(self, hub: HubServer, api: HfApi) -> None:
        """The hub's own words for a disabled repository become their exception."""
        hub.faults[MISTRAL] = Fault(Kind.DISABLED)
        with pytest.raises(DisabledRepoError):
            api.model_info(MISTRAL)

    def test_faults_stay_with_their_repository(self, hub: HubServer, api: HfApi) -> None:
        """A fault of one repository leaves the others alone, and removing it is enough."""
        hub.faults[MISTRAL] = Fault(Kind.DISABLED)
        assert api.model_info(TINY).id == TINY
        del hub.faults[MISTRAL]
        assert api.model_info(MISTRAL).id == MISTRAL

    def test_counted_faults_are_exact_under_concurrency(self, hub: HubServer) -> None:
        """Of many simultaneous requests, exactly as many fail as the fault has times."""
        hub.faults[MISTRAL] = Fault(Kind.UNAVAILABLE, times=5)
        url = f"{hub.url}/api/models/{MISTRAL}?expand=sha"
        threads = [threading.Thread(target=httpx2.get, args=(url,)) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(one.status == HTTPStatus.SERVICE_UNAVAILABLE for one in hub.requests) == 5

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("gated", Fault(Kind.GATED)),
            ("gated:a,b", Fault(Kind.GATED, tokens=frozenset({"a", "b"}))),
            ("rate_limited:30", Fault(Kind.RATE_LIMITED, seconds=30)),
        ],
    )
    def test_faults_are_read_from_text(self, text: str, expected: Fault) -> None:
        """The command line's spelling gives kind, seconds or tokens, and JSON keeps all of it."""
        assert Fault.parse(text) == expected
        assert Fault.from_json(json.loads(json.dumps(expected.as_json()))) == expected

    @pytest.mark.parametrize("text", ["", "sad", "torn:3", "slow:soon", "slow:-1", "slow:nan"])
    def test_nonsense_is_no_fault(self, text: str) -> None:
        """Unknown kinds and arguments that do not fit are refused."""
        with pytest.raises(ValueError):  # noqa: PT011  the type is what the callers catch
            Fault.parse(text)

    @pytest.mark.parametrize(
        "document",
        [
            *([], {}, {"kind": "sad"}, {"kind": ["torn"]}, {"kind": "torn", "time": 1}),
            *({"kind": "torn", "times": 0}, {"kind": "torn", "times": True}),
            *({"kind": "slow", "seconds": "1"}, {"kind": "gated", "tokens": "hf_x"}),
        ],
    )
    def test_nonsense_documents_are_no_fault(self, document: Any) -> None:
        """Documents with other keys, types or values are refused."""
        with pytest.raises(ValueError):  # noqa: PT011  the type is what the callers catch
            Fault.from_json(document)


class TestFolders:
    """Folders that a test writes."""

    def test_a_folder_is_served_as_it_is(self, tmp_path: Path) -> None:
        """Without a manifest, a repository has the files of its folder and no weights, damaged ones included."""
        folder = tmp_path / "acme__model"
        (folder / "sub").mkdir(parents=True)
        (folder / "config.json").write_text("{")
        (folder / "model.safetensors").write_bytes(b"damaged beyond repair")
        (folder / "sub" / "note.txt").write_text("ä")
        with HubServer(tmp_path) as server:
            api = HfApi(endpoint=server.url, token=False)
            assert api.list_repo_files("acme/model") == ["config.json", "model.safetensors", "sub/note.txt"]
            shallow = list(api.list_repo_tree("acme/model"))
            assert [(type(entry), entry.path) for entry in shallow] == [
                (RepoFolder, "sub"),
                (RepoFile, "config.json"),
                (RepoFile, "model.safetensors"),
            ]
            assert [entry.path for entry in api.list_repo_tree("acme/model", "sub")] == ["sub/note.txt"]
            assert api.model_info("acme/model").safetensors is None
            note = api.hf_hub_download("acme/model", "sub/note.txt", cache_dir=tmp_path / "cache")
            assert Path(note).read_text() == "ä"

    def test_real_files_replace_laid_out_ones(self, tmp_path: Path) -> None:
        """A real file in the folder is served in place of the one that the manifest would give."""
        folder = tmp_path / "acme__model"
        folder.mkdir()
        (folder / "repo.json").write_text('{"tokenizer": ["tekken.json"]}')
        (folder / "tekken.json").write_text('{"real": true}')
        with HubServer(tmp_path) as server:
            assert httpx2.get(f"{server.url}/acme/model/resolve/main/tekken.json").json() == {"real": True}

    def test_a_branch_with_a_slash_is_one_segment(self, hub: HubServer) -> None:
        """An encoded slash belongs to the revision, which is then looked up and not found."""
        revision = quote("refs/pr/18", safe="")
        answer = httpx2.get(f"{hub.url}/api/models/{MISTRAL}/revision/{revision}")
        assert answer.headers["X-Error-Code"] == "RevisionNotFound"

    @pytest.mark.parametrize(
        ("files", "message"),
        [
            ({"model/config.json": "{}"}, "name it <org>__<name>"),
            ({"a__b--branch/config.json": "{}"}, "add its main"),
            ({"a__b/repo.json": '{"weights": ["gguf"]}'}, "unknown weights 'gguf'"),
            ({"a__b/repo.json": '{"weight": []}'}, "unknown keys: weight"),
            ({"a__b/repo.json": "[]"}, "repo.json is no JSON object"),
            ({"a__b/repo.json": '{"weights": ["hf"]}', "a__b/config.json": "{}"}, "without the key 'vocab_size'"),
        ],
    )
    def test_a_folder_that_makes_no_sense_is_named(self, tmp_path: Path, files: dict[str, str], message: str) -> None:
        """A wrong folder stops the server before it starts, with a sentence that names it."""
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match=re.escape(message)):
            HubServer(tmp_path)


class TestServer:
    """The HTTP server itself."""

    def test_connections_are_kept_alive(self, hub: HubServer) -> None:
        """One connection serves a refusal, a HEAD, a POST and a GET in a row."""
        connection = http.client.HTTPConnection(hub.url.removeprefix("http://"))
        asked = [
            ("GET", "/nothing", None, HTTPStatus.NOT_FOUND),
            ("HEAD", f"/{MISTRAL}/resolve/main/config.json", None, HTTPStatus.OK),
            ("POST", f"/api/models/{MISTRAL}/paths-info/main", '{"paths": ["config.json"]}', HTTPStatus.OK),
            ("PUT", f"/{MISTRAL}/resolve/main/config.json", "x", HTTPStatus.METHOD_NOT_ALLOWED),
            ("GET", f"/api/models/{MISTRAL}/auth-check", None, HTTPStatus.OK),
        ]
        sockets = set()
        for method, path, body, status in asked:
            connection.request(method, path, body)
            sockets.add(connection.sock)
            with connection.getresponse() as response:
                response.read()
                assert response.status == status
        assert len(sockets) == 1
        connection.close()

    def test_stopping_leaves_nothing(self) -> None:
        """Idle connections and half-read bodies do not keep threads or the port."""
        before = set(threading.enumerate())
        with HubServer() as server:
            address = server.url.removeprefix("http://")
            idle, reading = (http.client.HTTPConnection(address) for _ in range(2))
            idle.request("GET", f"/api/models/{TINY}")
            idle.getresponse().read()
            reading.request("GET", f"/{TINY}/resolve/main/model.safetensors")
            reading.getresponse().read(16)
        assert set(threading.enumerate()) == before
        idle.close()
        reading.close()
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(f"http://{address}/api/models/{TINY}")


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    """Run the hub as a process of its own on a free port, with one fault from the start."""
    command = [sys.executable, "-m", "devcluster.hub", "--port", "0", "--fault", f"{TINY}=rate_limited:7"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen(  # noqa: S603 - our own module
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as running:
        yield running
        if running.poll() is None:
            running.kill()


class TestProcess:
    """``python -m devcluster.hub``."""

    @pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
    def test_a_process_serves_until_it_is_told_to_stop(
        self, process: subprocess.Popen[str], stop: signal.Signals
    ) -> None:
        """It prints its address, takes faults at run time, and exits with status 0 and no complaint."""
        assert process.stdout is not None
        line = process.stdout.readline()
        match = re.search(r"\(export HF_ENDPOINT=(http://127\.0\.0\.1:\d+)\)$", line.strip())
        assert match is not None
        url = match[1]
        api = HfApi(endpoint=url, token=False)

        with pytest.raises(HfHubHTTPError, match="Retry after 7 seconds"):
            api.model_info(TINY)
        assert list(httpx2.get(f"{url}/_faults").json()) == [TINY]
        assert httpx2.delete(f"{url}/_faults/{TINY}").status_code == HTTPStatus.OK
        assert api.model_info(TINY).id == TINY

        assert httpx2.put(f"{url}/_faults/{TINY}", json={"kind": "gated"}).json()["kind"] == "gated"
        with pytest.raises(GatedRepoError):
            api.auth_check(TINY)
        assert httpx2.put(f"{url}/_faults/*", json={"kind": "sad"}).status_code == HTTPStatus.BAD_REQUEST
        assert httpx2.put(f"{url}/_faults/a/b", json={"kind": "gated"}).status_code == HTTPStatus.UNAUTHORIZED

        process.send_signal(stop)
        rest, errors = process.communicate(timeout=20)
        assert (process.returncode, rest, errors) == (0, "", "")

    @pytest.mark.parametrize(
        ("arguments", "status", "message"),
        [
            (["--fault", "nothing"], 2, "is not REPO=KIND[:ARG]"),
            (["--fault", f"{TINY}=sad"], 2, "'sad' is not a valid Kind"),
            (["--fault", "a/b=gated"], 1, "no such repository: a/b"),
            (["--models", "/nonexistent"], 1, "/nonexistent"),
            (["--port", "70000"], 1, "port must be 0-65535"),
        ],
    )
    def test_wrong_arguments_are_explained(self, arguments: list[str], status: int, message: str) -> None:
        """A mistake on the command line ends the process with one sentence about it."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        ended = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", "devcluster.hub", "--port", "0", *arguments],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
            timeout=20,
        )
        assert ended.returncode == status
        assert message in ended.stderr
        assert "Traceback" not in ended.stderr
