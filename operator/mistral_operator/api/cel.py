"""What the API server refuses at apply, each with a sentence that names the field: CEL rules, by where they stand.

Every string, list and map that a rule touches has a bound, or the API server refuses the CustomResourceDefinition for
what the rule may cost.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from mistral_operator.api import names
from mistral_operator.api.rendered import RENDERED_ENV, RENDERED_FLAGS, RENDERED_LABELS, RENDERED_VOLUMES

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: what must hold, and the sentence for when it does not."""

    rule: str
    message: str

    def as_validation(self) -> dict[str, str]:
        """Return an item of ``x-kubernetes-validations``."""
        return {"rule": self.rule, "message": self.message}


def _list(values: Iterable[str]) -> str:
    return json.dumps(list(values))


def _no_argument(flag: str, setting: str) -> Rule:
    """Refuse one flag in any spelling: ``--max-model-len``, ``--max_model_len=1``, ``--attention-config.backend=X``.

    A rule for each flag: a message that is an expression costs more than the API server allows.
    """
    pattern = f"^--{flag.replace('-', '[-_]')}([=.].*)?$"
    return Rule(
        f"!self.exists(a, a.matches('{pattern}'))", f"spec.extraArgs may not repeat --{flag}: {_instead(setting)}"
    )


def _no_variable(name: str, setting: str) -> Rule:
    return Rule(f"!self.exists(e, e.name == '{name}')", f"spec.env may not name {name}: {_instead(setting)}")


def _instead(setting: str) -> str:
    return f"say it in {setting}" if setting.startswith("spec.") else f"{setting} sets it"


_LABELS: Final = _list(RENDERED_LABELS)
_VOLUMES: Final = _list(RENDERED_VOLUMES)
_MOUNTS: Final = _list(RENDERED_VOLUMES.values())
_NO_GPU: Final = "(!has(self.{kind}) || self.{kind}.all(name, !name.startsWith('nvidia.com/')))"
GPU_MEMORY_PATTERN: Final = (
    "^([0-9]{1,2}([.][0-9]*)?Ti?|[0-9]{1,5}([.][0-9]*)?Gi?|[0-9]{1,8}([.][0-9]*)?Mi?|"
    "[0-9]{1,11}([.][0-9]*)?(Ki|k)|[0-9.]*)$"
)
"""Of quantities, those that are less than 100Ti: by the digits that each unit may have."""
_NOTHING: Final = "[dyn(0), dyn('0'), dyn('0%')]"

RULES: Final[Mapping[Path, tuple[Rule, ...]]] = {
    (): (
        Rule(
            f"self.metadata.name.matches('{names.NAME_PATTERN}')",
            "metadata.name must begin with a lower-case letter and hold only lower-case letters, digits and '-': "
            "it becomes the name of a Service",
        ),
        Rule(
            f"size(self.metadata.name) <= {names.NAME_MAX_LENGTH}",
            f"metadata.name may have {names.NAME_MAX_LENGTH} characters at most: the names of pods are longer, and "
            "labels stop at 63",
        ),
    ),
    ("spec",): (
        Rule(
            "self.model.source != 'PVC' || (has(self.storage) && has(self.storage.pvc) && has(self.storage.pvc.name))",
            "spec.storage.pvc.name is required with spec.model.source PVC: it names the claim that holds the weights",
        ),
    ),
    ("spec", "model"): (
        Rule(
            "(self.source == 'PVC') == has(self.path)",
            "spec.model.path is required with source PVC, and means nothing with source Hub",
        ),
        Rule(
            "!has(self.path) || (!self.path.startsWith('/') && !self.path.split('/').exists(part, part == '..'))",
            "spec.model.path is relative to the root of the volume, and stays in it",
        ),
    ),
    ("spec", "gpu"): (
        Rule(
            f"!has(self.minMemory) || self.minMemory.matches('{GPU_MEMORY_PATTERN}')",
            "spec.gpu.minMemory must be less than 100Ti: no GPU has nearly as much",
        ),
    ),
    ("spec", "parallelism"): (
        Rule(
            "self.pipeline == 1",
            "spec.parallelism.pipeline: a pipeline of several stages is not planned for yet; use tensor instead",
        ),
    ),
    ("spec", "image"): (
        Rule(
            "has(self.runtime) || !(has(self.repository) || has(self.tag) || has(self.digest))",
            "spec.image.runtime is required with repository, tag or digest: a tag is never read for what the image "
            "contains",
        ),
    ),
    ("spec", "storage"): (
        Rule(
            "!(has(self.pvc) && has(self.emptyDir))",
            "spec.storage takes pvc or emptyDir, not both",
        ),
    ),
    ("spec", "storage", "pvc"): (
        Rule(
            "has(self.name) != has(self.create)",
            "spec.storage.pvc takes either name, of a claim that exists, or create",
        ),
    ),
    ("spec", "rollout"): (
        Rule(
            f"!(self.maxSurge in {_NOTHING} && self.maxUnavailable in {_NOTHING})",
            "spec.rollout: maxSurge and maxUnavailable may not both be 0, or no pod could ever be replaced",
        ),
    ),
    ("spec", "resources"): (
        Rule(
            f"{_NO_GPU.format(kind='limits')} && {_NO_GPU.format(kind='requests')}",
            "spec.resources may not name GPUs: they follow from spec.parallelism and spec.gpu.resourceName",
        ),
    ),
    ("spec", "extraArgs"): tuple(_no_argument(*flag) for flag in RENDERED_FLAGS.items()),
    ("spec", "env"): tuple(_no_variable(*variable) for variable in RENDERED_ENV.items()),
    ("spec", "podLabels"): (
        Rule(
            f"!self.exists(name, name in {_LABELS})",
            f"spec.podLabels may not name {', '.join(RENDERED_LABELS)}: the operator finds its pods by them",
        ),
    ),
    ("spec", "podAnnotations"): (
        Rule(
            f"!('{names.PLAN_ANNOTATION}' in self)",
            f"spec.podAnnotations may not name {names.PLAN_ANNOTATION}: the operator tells plans apart by it",
        ),
    ),
    ("spec", "volumes"): (
        Rule(
            f"!self.exists(v, v.name in {_VOLUMES})",
            f"spec.volumes may not name {', '.join(RENDERED_VOLUMES)}: every pod has volumes of these names",
        ),
    ),
    ("spec", "volumeMounts"): (
        Rule(
            f"!self.exists(m, m.mountPath in {_MOUNTS})",
            f"spec.volumeMounts may not mount at {', '.join(RENDERED_VOLUMES.values())}: every pod has mounts there",
        ),
    ),
}

BOUNDS: Final[Mapping[Path, Mapping[str, int]]] = {
    ("spec", "resources", "limits"): {"maxProperties": 32},
    ("spec", "resources", "requests"): {"maxProperties": 32},
    ("spec", "env", "*", "name"): {"maxLength": 256},
    ("spec", "volumes", "*", "name"): {"maxLength": 63},
    ("spec", "volumeMounts", "*", "mountPath"): {"maxLength": 1024},
}
"""Bounds of Kubernetes' own types that rules touch; ``*`` is any item of a list."""

LIST_KEYS: Final[Mapping[Path, str]] = {
    ("spec", "env"): "name",
    ("spec", "volumes"): "name",
    ("spec", "volumeMounts"): "mountPath",
    ("status", "conditions"): "type",
}
"""Lists that are maps by one field of their items: the API server refuses a second item of the same key."""

ATOMIC: Final[tuple[Path, ...]] = tuple(("status", part) for part in ("model", "attention", "memory", "resolved"))
"""Objects that one writer writes whole: field by field they would cost half of what a status costs the API server."""
