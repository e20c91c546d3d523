"""The names by which the API server knows the resource, and the annotations and labels that mean something to it."""

from typing import Final

GROUP: Final = "mistral-operator.io"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "MistralDeployment"
PLURAL: Final = "mistraldeployments"
SINGULAR: Final = "mistraldeployment"
SHORT_NAME: Final = "mdep"
CATEGORY: Final = "mistral"

NAME_PATTERN: Final = "^[a-z]([-a-z0-9]*[a-z0-9])?$"  # a Service's name, which is the strictest of the children's
NAME_MAX_LENGTH: Final = 52  # a Deployment's pods append "-" and up to ten characters, and labels stop at 63

MANAGER: Final = "mistral-operator"  # field manager, value of the label below, reporting controller
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
MANAGED_SELECTOR: Final = f"{MANAGED_BY_LABEL}={MANAGER}"
"""What every child and every pod is found by."""
INSTANCE_LABEL: Final = "app.kubernetes.io/instance"
"""On every child and every pod: the name of the MistralDeployment that it belongs to."""

CONTAINER: Final = "vllm"  # of a pod, the container that serves
CONTAINER_PORT: Final = 8000

DEFAULT_IMAGE_REPOSITORY: Final = "mistral-vllm"
"""The vLLM image where neither a spec nor the operator's settings name one."""

PAUSED_ANNOTATION: Final = f"{GROUP}/paused"
"""Present with any value but ``false``: observe and report, touch nothing."""
REPLAN_ANNOTATION: Final = f"{GROUP}/replan"
"""A value other than the one recorded in ``status.resolved.replan`` makes a new plan of today's facts."""
PLAN_ANNOTATION: Final = f"{GROUP}/plan"
"""On pods: digest of the plan they were rendered from."""
