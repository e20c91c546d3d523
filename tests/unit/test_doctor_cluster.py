"""What the doctor says of API server, definition, operator and rights."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

import pytest

from mistral_operator.api.crd import custom_resource_definition
from mistral_operator.cli.doctor.checks.api_server import check_api_server
from mistral_operator.cli.doctor.checks.definition import check_definition, differences
from mistral_operator.cli.doctor.checks.operator import check_operator
from mistral_operator.cli.doctor.checks.rights import check_rights
from mistral_operator.cli.doctor.facts import Definition, LeaseSeen, Rights, Server, Unread
from mistral_operator.cli.doctor.finding import Finding
from mistral_operator.cluster.access import Right, rights_of
from mistral_operator.cluster.rbac import lease_rules, node_rules, operator_rules

FORBIDDEN = Unread('it is forbidden: User "u" cannot get it')
OWN = custom_resource_definition()
REFUSED = {"type": "NamesAccepted", "status": "False", "message": "mdep is taken"}
ESTABLISHED = {"conditions": [{"type": "Established", "status": "True"}, {"type": "NamesAccepted", "status": "True"}]}


def only(findings: Iterable[Finding]) -> Finding:
    """Return the one finding that there is."""
    (found,) = findings
    return found


@pytest.mark.parametrize(
    ("version", "level", "reason"),
    [
        ("v1.36.14", "warning", "VersionNotTested"),
        ("v1.37.0", "ok", "VersionTested"),
        ("v1.37.4-eks-abc1234", "ok", "VersionTested"),
        ("v1.37.1+k3s1", "ok", "VersionTested"),
        ("v1.38.0-alpha.1", "warning", "VersionNotTested"),
        ("v2.0.0", "warning", "VersionNotTested"),
        ("unknown", "warning", "VersionUnknown"),
        (FORBIDDEN, "warning", "VersionUnknown"),
    ],
)
def test_releases(version: str | Unread, level: str, reason: str) -> None:
    """A distribution's ending does not matter; what was not tested may well work."""
    found = only(check_api_server(Server("https://api", version)))
    assert (found.level, found.reason) == (level, reason)
    assert "1.37" in found.message + found.next_step


def installed(**spec: Any) -> dict[str, Any]:
    """Return this operator's own definition as a cluster has it, with other values in its spec."""
    body = deepcopy(OWN) | {"status": ESTABLISHED}
    body["spec"] |= spec
    return body


def version_with(**changes: Any) -> dict[str, Any]:
    """Return a definition whose version is another in something."""
    body = installed()
    body["spec"]["versions"][0] |= changes
    return body


def schema_with(path: str, change: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a definition in whose schema a field is another, or is missing."""
    body = installed()
    schema = body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    *parents, name = path.split(".")
    for parent in parents:
        schema = schema["properties"][parent]
    if change is None:
        del schema["properties"][name]
    else:
        schema["properties"][name] = schema["properties"].get(name, {}) | change
    return body


@pytest.mark.parametrize(
    ("definition", "level", "reason", "says"),
    [
        (Definition(None, served=False), "problem", "DefinitionMissing", "is not installed"),
        (Definition(FORBIDDEN, served=True), "warning", "DefinitionNotReadable", "serves v1alpha1"),
        (Definition(FORBIDDEN, served=False), "problem", "DefinitionNotReadable", "does not serve v1alpha1"),
        (Definition(installed(), served=True), "ok", "DefinitionCurrent", "own schema"),
        (Definition(version_with(name="v1beta1"), served=True), "problem", "VersionNotServed", "serves v1beta1, and"),
        (Definition(version_with(served=False), served=False), "problem", "VersionNotServed", "serves no version"),
        (
            Definition(installed() | {"status": {}}, served=False),
            "problem",
            "DefinitionNotEstablished",
            "made a moment ago",
        ),
        (
            Definition(
                installed() | {"status": {"conditions": [REFUSED]}},
                served=False,
            ),
            "problem",
            "DefinitionNotEstablished",
            "mdep is taken",
        ),
        (
            Definition(installed() | {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, served=True),
            "problem",
            "DefinitionBeingDeleted",
            "every MistralDeployment",
        ),
        (
            Definition(schema_with("status.url", None), served=True),
            "problem",
            "DefinitionDiffers",
            "is another release's: lacks status.url",
        ),
        (
            Definition(schema_with("spec.engine", None), served=True),
            "problem",
            "DefinitionDiffers",
            "lacks spec.engine",
        ),
        (
            Definition(schema_with("spec.turbo", {"type": "boolean"}), served=True),
            "warning",
            "DefinitionDiffers",
            "has besides spec.turbo",
        ),
        (
            Definition(schema_with("status.phase", {"enum": ["Ready"]}), served=True),
            "problem",
            "DefinitionDiffers",
            "differs in status.phase",
        ),
        (Definition(version_with(subresources={}), served=True), "problem", "DefinitionDiffers", "subresources"),
        (Definition(version_with(additionalPrinterColumns=[]), served=True), "warning", "DefinitionDiffers", "columns"),
    ],
)  # fmt: skip
def test_definitions(definition: Definition, level: str, reason: str, says: str) -> None:
    """What lacks or says something else breaks; what has more is of a newer release; words alone are no difference."""
    found = only(check_definition(definition))
    assert (found.level, found.reason) == (level, reason)
    assert says in found.message
    assert bool(found.next_step) == (level != "ok")


def test_descriptions_are_no_difference() -> None:
    """They are reworded from release to release."""
    other = schema_with("spec.replicas", {"description": "How many."})
    assert differences(OWN["spec"]["versions"][0], other["spec"]["versions"][0]) == ([], [], [])


def test_many_differences_are_counted() -> None:
    """A line stays a line: three are named, and a field within a field that is missing is not."""
    body = installed()
    properties = body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    properties["status"]["properties"] = {}
    message = only(check_definition(Definition(body, served=True))).message
    assert "lacks status.observedGeneration, status.phase, status.replicas and " in message
    assert "status.model.commit" not in message


def lease(**spec: Any) -> dict[str, Any]:
    """Return a Lease."""
    return {"spec": {"holderIdentity": "host_1_abc", "renewTime": "2026-01-01T10:00:00.000000Z"} | spec}


@pytest.mark.parametrize(
    ("seen", "level", "reason", "held", "says"),
    [
        (LeaseSeen("ns", "n", lease(), alive=True), "ok", "OperatorRuns", True, "host_1_abc"),
        (LeaseSeen("ns", "n", lease()), "problem", "OperatorSilent", False, "since 2026-01-01T10:00:00"),
        (LeaseSeen("ns", "n", lease(holderIdentity="")), "problem", "OperatorStopped", False, "is free"),
        (LeaseSeen("ns", "n", {}), "problem", "OperatorStopped", False, "is free"),
        (LeaseSeen("ns", "n", None), "problem", "OperatorNeverRan", False, "does not exist"),
        (LeaseSeen("ns", "n", FORBIDDEN), "warning", "LeaseNotReadable", None, "cannot get it"),
    ],
)
def test_leases(seen: LeaseSeen, level: str, reason: str, held: bool | None, says: str) -> None:
    """Held and renewed is alive; what cannot be read is no verdict."""
    found = only(check_operator(seen))
    assert (found.object, found.level, found.reason) == ("Lease ns/n", level, reason)
    assert says in found.message
    assert seen.held is held


def test_the_command_that_starts_an_operator() -> None:
    """It names what is not the default, so that it can be pasted."""
    step = only(check_operator(LeaseSeen("ns", "n", None))).next_step
    assert "`mistral-operator run --lease-namespace ns --lease-name n`" in step
    usual = only(check_operator(LeaseSeen("mistral-operator-system", "mistral-operator", None))).next_step
    assert "`mistral-operator run`" in usual


def rights(
    *missing: Right, there: bool | None = True, unread: Unread | None = None, watched: tuple[str, ...] = ()
) -> Rights:
    """Return what was asked about an account."""
    return Rights("ns", "sa", "n", watched, there, asked=34, missing=missing if unread is None else unread)


NODES_LIST = Right("", "nodes", None, "list", None, None)
PODS_LIST = Right("", "pods", None, "list", None, None)
PODS_WATCH = Right("", "pods", None, "watch", None, None)
STATUS_PATCH = Right("mistral-operator.io", "mistraldeployments", "status", "patch", None, "team")
LEASE_GET = Right("coordination.k8s.io", "leases", None, "get", "n", "ns")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (rights(), [("ok", "RightsComplete", "has all 34 rights that the operator needs, in all namespaces")]),
        (
            rights(watched=("a", "b")),
            [("ok", "RightsComplete", "has all 34 rights that the operator needs, in namespaces a and b")],
        ),
        (rights(PODS_LIST, PODS_WATCH), [("problem", "RightsMissing", "may not list and watch pods")]),
        (
            rights(STATUS_PATCH, LEASE_GET),
            [
                (
                    "problem",
                    "RightsMissing",
                    "may not patch mistraldeployments/status.mistral-operator.io in namespace team",
                ),
                ("problem", "RightsMissing", "may not get leases.coordination.k8s.io n in namespace ns"),
            ],
        ),
        (
            rights(NODES_LIST),
            [
                (
                    "warning",
                    "RightsMissing",
                    "may not list nodes: plans rest on the spec alone, and not on the GPUs there are",
                )
            ],
        ),
        (rights(there=False), [("problem", "ServiceAccountMissing", "does not exist")]),
        (rights(PODS_LIST, there=None), [("problem", "RightsMissing", "may not list pods")]),
        (rights(unread=FORBIDDEN), [("warning", "RightsNotReadable", f"its rights cannot be told: {FORBIDDEN.why}")]),
    ],
)
def test_missing_rights(asked: Rights, told: list[tuple[str, str, str]]) -> None:
    """One line for each resource; without nodes the operator works all the same."""
    found = [*check_rights(asked)]
    assert [(one.level, one.reason, one.message) for one in found] == told
    for one in found:
        assert one.object == "ServiceAccount ns/sa"
        if one.reason in ("RightsMissing", "ServiceAccountMissing"):
            assert (
                "`mistral-operator rbac --namespace ns --service-account sa --lease-name n | kubectl" in one.next_step
            )


def test_every_right_of_the_one_source_is_asked_for() -> None:
    """One by one, subresources and names apart."""
    asked = [*rights_of(operator_rules(), "team"), *rights_of(node_rules()), *rights_of(lease_rules("n"), "ns")]
    assert len(set(asked)) == len(asked)
    assert {STATUS_PATCH, NODES_LIST, LEASE_GET} <= set(asked)
    verbs = sum(len(rule["verbs"]) for rule in [*operator_rules(), *node_rules(), *lease_rules("n")])
    assert len(asked) == verbs
