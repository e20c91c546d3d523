"""What the operator itself says to vLLM: a user may not say it a second time.

Used twice: the CustomResourceDefinition's CEL rules refuse these at apply, and planning refuses them once more, with
the abbreviations that argparse accepts.
"""

from collections.abc import Mapping
from typing import Final

from mistral_operator.api.names import INSTANCE_LABEL, MANAGED_BY_LABEL

PLAN_FLAGS: Final[Mapping[str, str]] = {
    "model": "spec.model.id",
    "revision": "spec.model.revision",
    "tokenizer-revision": "spec.model.revision",
    "config-format": "the plan",
    "load-format": "the plan",
    "tokenizer-mode": "the plan",
    "dtype": "spec.engine.dtype",
    "kv-cache-dtype": "spec.engine.kvCacheDtype",
    "max-model-len": "spec.engine.maxModelLen",
    "max-num-batched-tokens": "spec.engine.maxNumBatchedTokens",
    "max-num-seqs": "spec.engine.maxNumSeqs",
    "gpu-memory-utilization": "spec.engine.gpuMemoryUtilization",
    "tensor-parallel-size": "spec.parallelism.tensor",
    "pipeline-parallel-size": "spec.parallelism.pipeline",
    "attention-backend": "spec.engine.attentionBackend",
    "attention-config": "spec.engine.attentionBackend",
    "hf-overrides": "the plan",
}
"""vLLM flags (without ``--``) that every plan renders, and where to say them instead."""

POD_FLAGS: Final[Mapping[str, str]] = {
    "served-model-name": "spec.model.servedName",
    "enforce-eager": "spec.engine.enforceEager",
    "host": "the operator",
    "port": "spec.service.port",
    "uds": "the operator",
    "api-key": "spec.apiKeySecretRef",
    "hf-token": "spec.hfTokenSecretRef",
}
"""Flags that a MistralDeployment's pod renders besides; on the command line's plan they are the user's own."""

RENDERED_FLAGS: Final[Mapping[str, str]] = {**PLAN_FLAGS, **POD_FLAGS}
"""Flags that no MistralDeployment may repeat in ``spec.extraArgs``."""

RENDERED_ENV: Final[Mapping[str, str]] = {
    "VLLM_ATTENTION_BACKEND": "spec.engine.attentionBackend",
    "VLLM_PLUGINS": "the plan",
    "MISTRAL_VLLM_REQUIRED": "the plan",
    "VLLM_API_KEY": "spec.apiKeySecretRef",
    "VLLM_PORT": "the operator",
    "VLLM_HOST_IP": "the operator",
    "HF_TOKEN": "spec.hfTokenSecretRef",
    "HUGGING_FACE_HUB_TOKEN": "spec.hfTokenSecretRef",
}
"""Environment variables that are always the operator's, and where to say them instead."""

RENDERED_VOLUMES: Final[Mapping[str, str]] = {
    "models": "/models",
    "cache": "/cache",
    "tmp": "/tmp",  # noqa: S108 - a folder in the pod
    "shm": "/dev/shm",  # noqa: S108
}
"""Volumes that every pod has, and where they are mounted."""

RENDERED_LABELS: Final = (
    "app.kubernetes.io/name",
    INSTANCE_LABEL,
    "app.kubernetes.io/component",
    MANAGED_BY_LABEL,
)
"""Labels of every child: the Deployment's selector and the operator's watches rest on them."""
