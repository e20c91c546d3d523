"""The environment of the vLLM container: base, then the plan's, then the user's, each name once.

Two entries of one name answer HTTP 500 to server-side apply. The user's keep their order and come last: ``$(NAME)`` in
one of them means a variable that stands before it.
"""

from typing import Any, Final

from mistral_operator.api.spec import MistralDeploymentSpec, ModelSource, SecretKeyRef
from mistral_operator.api.status import Resolved
from mistral_operator.planning.wishes import MODELS_FOLDER
from mistral_operator.rendering.volumes import CACHE_FOLDER

_BASE: Final = {
    "USER": "vllm",
    "HOME": CACHE_FOLDER,
    "XDG_CACHE_HOME": f"{CACHE_FOLDER}/xdg",
    "TORCHINDUCTOR_CACHE_DIR": f"{CACHE_FOLDER}/inductor",
    "TRITON_CACHE_DIR": f"{CACHE_FOLDER}/triton",
    "VLLM_CACHE_ROOT": f"{CACHE_FOLDER}/vllm",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_NO_USAGE_STATS": "1",
}


def render_environment(spec: MistralDeploymentSpec, resolved: Resolved) -> list[dict[str, Any]]:
    """Return the environment; secrets stand in it by reference only."""
    on_volume = spec.model.source is ModelSource.PVC
    merged: dict[str, dict[str, Any]] = {}
    base = _BASE | (
        {"HF_HOME": f"{CACHE_FOLDER}/huggingface"} if on_volume else {"HF_HOME": f"{MODELS_FOLDER}/huggingface"}
    )
    # sorted: the API server hands a map back in another order, and another order of env is another pod
    for name, value in (*base.items(), *sorted(resolved.env.items())):
        merged[name] = {"name": name, "value": value}
    if spec.hf_token_secret_ref is not None:
        merged["HF_TOKEN"] = _from_secret("HF_TOKEN", spec.hf_token_secret_ref)
    if spec.api_key_secret_ref is not None:
        merged["VLLM_API_KEY"] = _from_secret("VLLM_API_KEY", spec.api_key_secret_ref)
    for entry in spec.env or ():
        merged.pop(entry["name"], None)
        merged[entry["name"]] = entry
    return list(merged.values())


def _from_secret(name: str, reference: SecretKeyRef) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": reference.name, "key": reference.key}}}
