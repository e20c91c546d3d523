"""Planning a MistralDeployment of a file: the functions the operator plans and renders with, in its order."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from huggingface_hub import get_token

from mistral_operator.api import names
from mistral_operator.api.conditions import Reason
from mistral_operator.api.mistral_deployment import write_status
from mistral_operator.api.spec import MistralDeploymentSpec, RuntimeSpec
from mistral_operator.cli.ending import Refused, refusals
from mistral_operator.cli.files import AskedDeployment
from mistral_operator.cli.flags import ON_FLAGS, Flags
from mistral_operator.hub.remote import HubReader
from mistral_operator.planning.facts import GpuClass
from mistral_operator.planning.fit import Remedies
from mistral_operator.planning.frozen import freeze
from mistral_operator.planning.inventory import Inventory
from mistral_operator.planning.placement import IN_THE_SPEC, Placement, lacks_capability, lacks_memory, place
from mistral_operator.planning.quantity import gib
from mistral_operator.planning.wishes import Defaults, image_of, runtime_of
from mistral_operator.rendering.children import render_children
from mistral_operator.rendering.owner import Manifest, Owner
from mistral_operator.status.described import describe_plan
from mistral_vllm.profiles import load_profiles
from mistral_vllm.runtimes import DEFAULT_VERSION

if TYPE_CHECKING:  # importing a client takes longer than a plan without a cluster
    from mistral_operator.cli.cluster_facts import ClusterFacts

_NO_NAMESPACE: Final = "default"
_OF_THE_PLAN: Final = ("gpu", "model", "attention", "memory", "warnings", "resolved")


@dataclass(frozen=True, slots=True)
class PlannedDeployment:
    """One MistralDeployment, and what the operator would make of it."""

    name: str
    namespace: str
    placement: Placement  # shown with all assumptions, and with the memory of the smallest GPU as the plan's
    manifests: tuple[Manifest, ...]  # in the order in which they are applied, without ownerReferences
    assumptions: tuple[str, ...]  # what neither the file nor a flag told, one sentence each
    status: dict[str, Any]  # what the operator would write of the plan, as it would write it

    def __str__(self) -> str:
        return f"{names.KIND} {self.namespace}/{self.name}"


def plan_deployment(asked: AskedDeployment, flags: Flags, cluster: "ClusterFacts | None") -> PlannedDeployment:
    """Plan one MistralDeployment, on a cluster's GPUs or on the one that flags describe.

    Raises
    ------
    Refused
        When there is no plan.
    """
    spec, defaults = asked.spec, _defaults(flags)
    namespace = asked.namespace or (_NO_NAMESPACE if cluster is None else cluster.namespace)
    if cluster is None:
        described = _described(spec, flags)
        inventory, remedies = Inventory(frozenset({described})), _remedies(spec, flags, described)
    else:
        inventory, remedies = cluster.inventory, IN_THE_SPEC
    with refusals():
        reader = HubReader(flags.hf_endpoint, _token(asked, cluster), access_advice=_access_advice(asked, cluster))
        facts = reader.read(spec.model.id, spec.model.revision)
        placement = place(facts, spec, inventory, defaults, load_profiles(), remedies)
        resolved = freeze(placement, spec, defaults, generation=1, replan=asked.replan)
        manifests = render_children(Owner(asked.name, namespace), spec, resolved)
    assumptions = (
        *_about_the_image(spec, flags, defaults),
        *_about_the_gpu(placement, flags, described=cluster is None),
        *_about_the_rest(asked, namespace, on_cluster=cluster is not None),
    )
    status = write_status(describe_plan(placement, resolved))
    all_assumptions = (*assumptions, *placement.plan.assumptions)
    plan = replace(placement.plan, memory=placement.memory, assumptions=all_assumptions)
    told: dict[str, Any] = {name: status[name] for name in _OF_THE_PLAN if name in status}
    return PlannedDeployment(asked.name, namespace, replace(placement, plan=plan), manifests, assumptions, told)


def _defaults(flags: Flags) -> Defaults:
    """Return what the operator would take where the spec is silent, if it was set up with these flags."""
    engine = flags.engine()
    return Defaults(
        image_repository=flags.image_repository or names.DEFAULT_IMAGE_REPOSITORY,
        image_tag=flags.image_tag or DEFAULT_VERSION,
        runtime=RuntimeSpec(name=engine.name, version=engine.version),
        hf_endpoint=flags.hf_endpoint,
    )


def _described(spec: MistralDeploymentSpec, flags: Flags) -> GpuClass:
    """Return a class of GPU of no product, as many on a node as a pod needs; the spec's least counts if no flag."""
    return GpuClass(
        memory_bytes=flags.gpu_memory_bytes(spec.gpu.min_memory),
        compute_capability=flags.capability(spec.gpu.min_compute_capability),
        resource_name=spec.gpu.resource_name,
        per_node=spec.parallelism.tensor * spec.parallelism.pipeline,
    )


def _remedies(spec: MistralDeploymentSpec, flags: Flags, described: GpuClass) -> Remedies:
    """Return what helps on the GPU that flags describe: only a flag can make it less than what the spec admits."""
    steps = []
    if lacks_memory(spec.gpu, described):
        steps.append(f"raise --gpu-memory {flags.gpu_memory} or lower spec.gpu.minMemory {spec.gpu.min_memory}")
    if lacks_capability(spec.gpu, described):
        given, least = flags.compute_capability, spec.gpu.min_compute_capability
        steps.append(f"raise --compute-capability {given} or lower spec.gpu.minComputeCapability {least}")
    told = "; ".join(steps)
    return replace(IN_THE_SPEC, larger_gpus=ON_FLAGS.larger_gpus, match=told[:1].upper() + told[1:])


def _token(asked: AskedDeployment, cluster: "ClusterFacts | None") -> str | bool | None:
    """Return the token that the operator would read with; this machine's own where its Secret is out of reach."""
    reference = asked.spec.hf_token_secret_ref
    if cluster is None:
        return None
    if reference is None:
        return False
    token = cluster.tokens[asked.namespace, reference]
    if isinstance(token, Refused):
        raise token
    return token


def _access_advice(asked: AskedDeployment, cluster: "ClusterFacts | None") -> str:
    """Say how to hand over a token: pods have the Secret's alone, and so has this command where it sees the cluster."""
    if cluster is not None:
        return "set spec.hfTokenSecretRef (with --context this command sends that Secret's token, and never HF_TOKEN)"
    if asked.spec.hf_token_secret_ref is not None:
        return "set HF_TOKEN for this command (its pods have spec.hfTokenSecretRef)"
    return "set spec.hfTokenSecretRef for its pods, and HF_TOKEN for this command"


def _about_the_image(spec: MistralDeploymentSpec, flags: Flags, defaults: Defaults) -> Iterator[str]:
    if (spec.image is None or spec.image.runtime is None) and not (flags.image_repository or flags.image_tag):
        runtime = runtime_of(spec, defaults)
        yield (
            f"image: {image_of(spec, defaults)}, which contains {runtime.name} {runtime.version} (say otherwise with "
            "spec.image; or with --image-repository, --image-tag, --runtime and --vllm, as the operator's own settings)"
        )


def _about_the_gpu(placement: Placement, flags: Flags, *, described: bool) -> Iterator[str]:
    if not placement.known:
        yield f"GPU: {placement.message}"
    if not described or placement.reason is Reason.NO_GPU_NEEDED:
        return
    if flags.gpu_memory is None or flags.compute_capability is None:
        for gpu in placement.classes:
            yield (
                f"GPU: {gib(gpu.memory_bytes or 0)} of memory, compute capability {gpu.compute_capability} (say "
                "otherwise with --gpu-memory and --compute-capability, or name a cluster with --context)"
            )


def _about_the_rest(asked: AskedDeployment, namespace: str, *, on_cluster: bool) -> Iterator[str]:
    reference = asked.spec.hf_token_secret_ref
    if not on_cluster and reference is not None:
        yield (
            f"hub: read with this machine's own token, if it has one, in place of Secret {namespace}/{reference.name} "
            "(name its cluster with --context)"
        )
    elif not on_cluster and get_token() is not None:
        yield "hub: read with this machine's own token; the operator sends none (name one in spec.hfTokenSecretRef)"
    if asked.namespace is None:
        yield f"namespace: {namespace} (say otherwise with metadata.namespace)"
