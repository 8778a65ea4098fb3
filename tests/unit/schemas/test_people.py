"""What people write: the friendly forms, the bounds at their edges, the places."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.deployment import (
    Deployment,
    ResourceRequest,
    VolumeMoves,
    dump_deployment,
    parse_deployment,
)
from schemas.fleet import Fleet, dump_fleet, parse_fleet
from schemas.names import DeploymentName, NodeName
from schemas.node import NodeRecord, dump_node, parse_node
from schemas.problem import BadDocumentError, Place
from schemas.resources import (
    Expression,
    GpuNeed,
    Neighbourhood,
    Operator,
    PlacementRules,
    Preemption,
    Preference,
    Resources,
    Sharing,
    Spread,
    Strategy,
    Taint,
    Toleration,
)
from schemas.template import Template, dump_template, parse_template
from schemas.yaml_text import write_yaml
from tests import builders

WHOLE = """\
# yaml-language-server: $schema=../schemas/deployment.schema.json
apiVersion: miaas/v1
kind: Deployment
metadata:
  name: chat
  labels: {country: no}
spec:
  template: llama-cpp
  parameters: {model: qwen, context: 4096}
  replicas: 2
  resources:
    cpu: 2
    memory: 8GiB
    disk: 20GiB
    gpus:
      count: 1
      memory: 16GiB
      sharing: shared
      vendor: nvidia
      model: "*A100*"
      computeCapability: "8.0"
      driver: "550"
      cuda: "12.4"
  placement:
    require: {zone: a, rack: [r1, r2]}
    prefer:
      - {key: disk, operator: Exists, weight: 50}
    near: [{deployments: [redis], over: zone}]
    apart: [{deployments: [batch]}]
    spread: [{over: zone, maxSkew: 2}]
    pin: [node-1]
    tolerations: [{key: dedicated}, {key: tier, value: ""}]
    strategy: pack
    gang: pair
    preemption: lowerPriority
  ports: {http: 8080, admin: auto}
  volumes: {onMove: lose}
  priority: 10
"""


def test_a_deployment_with_everything_is_read() -> None:
    path = "deployments/chat.yaml"

    assert parse_deployment(WHOLE, path=path) == builders.a_deployment(
        "chat",
        template="llama-cpp",
        labels={"country": "no"},
        parameters={"model": "qwen", "context": 4096},
        replicas=2,
        resources=the_request(),
        placement=PlacementRules(
            require=(
                Expression(key="zone", operator=Operator.IN, values=("a",)),
                Expression(key="rack", operator=Operator.IN, values=("r1", "r2")),
            ),
            prefer=(
                Preference(expression=Expression(key="disk", operator=Operator.EXISTS), weight=50),
            ),
            near=(Neighbourhood(deployments=(DeploymentName("redis"),), over="zone"),),
            apart=(Neighbourhood(deployments=(DeploymentName("batch"),)),),
            spread=(Spread(over="zone", max_skew=2),),
            pin=(NodeName("node-1"),),
            tolerations=(Toleration(key="dedicated"), Toleration(key="tier", value="")),
            strategy=Strategy.PACK,
            gang="pair",
            preemption=Preemption.LOWER_PRIORITY,
        ),
        ports={"http": 8080, "admin": None},
        on_move=VolumeMoves.LOSE,
        priority=10,
    )


def the_request() -> ResourceRequest:
    """What the deployment above says of its needs."""
    return ResourceRequest(
        cpu_milli=2000,
        memory_mib=8192,
        disk_mib=20480,
        gpus=GpuNeed(
            count=1,
            memory_mib=16384,
            sharing=Sharing.SHARED,
            vendor="nvidia",
            model="*A100*",
            compute_capability=(8, 0),
            driver=(550,),
            cuda=(12, 4),
        ),
    )


def test_a_document_says_only_what_its_author_meant() -> None:
    assert dump_deployment(builders.a_deployment("chat")) == (
        "apiVersion: miaas/v1\nkind: Deployment\nmetadata:\n  name: chat\nspec:\n  template: web\n"
    )
    assert dump_fleet(builders.a_fleet("home")) == (
        "apiVersion: miaas/v1\nkind: Fleet\nmetadata:\n  name: home\n"
    )
    assert dump_node(builders.a_record("alpha")) == (
        "apiVersion: miaas/v1\nkind: Node\nmetadata:\n  name: alpha\n"
    )


def test_nothing_reserved_is_not_the_same_as_what_the_fleet_reserves() -> None:
    record = builders.a_record("alpha", reserved=Resources())

    assert parse_node(dump_node(record), path="nodes/alpha.yaml").reserved == Resources()


def test_a_template_without_parameters_takes_none() -> None:
    text = dump_template(builders.a_template("web"))

    assert "parameters" not in text
    assert parse_template(text, path="x").parameters["additionalProperties"] is False


def test_marks_name_the_place_of_a_value_for_later_messages() -> None:
    deployment = parse_deployment(WHOLE, path="deployments/chat.yaml")

    assert deployment.place == Place("deployments/chat.yaml")
    assert str(deployment.marks.at("spec", "template")) == "deployments/chat.yaml:8:13"
    assert str(deployment.marks.at("spec", "parameters", "none")) == "deployments/chat.yaml:9:3"
    assert str(deployment.marks.at("spec", "resources", "gpus", "cuda")).endswith(":23:13")
    assert "marks" not in repr(deployment)


def a_text(kind: str, spec: dict[str, Any], **metadata: Any) -> str:
    """A document with this spec."""
    head = {"apiVersion": "miaas/v1", "kind": kind, "metadata": {"name": "chat", **metadata}}
    return write_yaml({**head, "spec": spec})


def deployment_of(**spec: Any) -> Deployment:
    return parse_deployment(a_text("Deployment", {"template": "web", **spec}), path="x")


def fleet_of(**spec: Any) -> Fleet:
    return parse_fleet(a_text("Fleet", spec), path="fleet.yaml")


def node_of(**spec: Any) -> NodeRecord:
    return parse_node(a_text("Node", spec), path="x")


def template_of(**spec: Any) -> Template:
    return parse_template(a_text("Template", {"description": "x", **spec}), path="x")


def gpus(**need: Any) -> dict[str, Any]:
    return {"resources": {"gpus": need}}


@pytest.mark.parametrize(
    ("read", "spec", "fits"),
    [
        (deployment_of, {"replicas": 0}, True),
        (deployment_of, {"replicas": -1}, False),
        (deployment_of, {"replicas": 1000}, True),
        (deployment_of, {"replicas": 1001}, False),
        (deployment_of, {"replicas": True}, False),
        (deployment_of, {"priority": 1000}, True),
        (deployment_of, {"priority": 1001}, False),
        (deployment_of, {"ports": {"http": 1}}, True),
        (deployment_of, {"ports": {"http": 65535}}, True),
        (deployment_of, {"ports": {"http": 0}}, False),
        (deployment_of, {"ports": {"http": 65536}}, False),
        (deployment_of, {"ports": {"http": "8080"}}, False),
        (deployment_of, gpus(count=0), True),
        (deployment_of, gpus(count=128), True),
        (deployment_of, gpus(count=129), False),
        (deployment_of, gpus(sharing="shared", memory="1GiB"), True),
        (deployment_of, gpus(sharing="shared"), False),
        (deployment_of, gpus(computeCapability="8"), False),
        (deployment_of, gpus(driver="550.54.14"), True),
        (deployment_of, gpus(driver="1.2.3.4.5"), False),
        (deployment_of, gpus(vendor="NVIDIA"), False),
        (deployment_of, {"placement": {"prefer": [{"key": "a", "operator": "Exists"}]}}, True),
        (deployment_of, {"parameters": {"a" * 300: 1}}, True),
        (deployment_of, {"template": "a" * 40}, True),
        (deployment_of, {"template": "a" * 41}, False),
        (deployment_of, {"template": "a\n"}, False),
        (template_of, gpus(count=0), False),
        (template_of, gpus(count=1), True),
        (template_of, {"ports": [{"name": "http", "container": 65535}]}, True),
        (template_of, {"ports": [{"name": "http", "container": 65536}]}, False),
        (template_of, {"ports": [{"name": "http", "container": 1, "path": "v1"}]}, False),
        (fleet_of, {"timings": {"heartbeat": "89s"}}, True),
        (fleet_of, {"timings": {"heartbeat": "90s"}}, False),
        (fleet_of, {"timings": {"lost": "91s"}}, True),
        (fleet_of, {"timings": {"lost": "90s"}}, False),
        (fleet_of, {"timings": {"poll": "1s"}}, True),
        (fleet_of, {"timings": {"poll": "0s"}}, False),
        (fleet_of, {"timings": {"poll": "60m"}}, True),
        (fleet_of, {"timings": {"poll": "61m"}}, False),
        (fleet_of, {"ports": {"first": 29999}}, True),
        (fleet_of, {"ports": {"first": 30000}}, False),
        (fleet_of, {"ports": {"first": 1024}}, True),
        (fleet_of, {"ports": {"first": 1023}}, False),
        (fleet_of, {"rebalance": {"movesPerPass": 1000}}, True),
        (fleet_of, {"rebalance": {"movesPerPass": 1001}}, False),
        (node_of, {"duty": "draining"}, True),
        (node_of, {"duty": "drain"}, False),
        (node_of, {"taints": [{"key": "a"}]}, True),
        (node_of, {"taints": [{"value": "a"}]}, False),
    ],
)
def test_bounds_at_their_edges(read: Any, spec: dict[str, Any], fits: bool) -> None:
    if fits:
        read(**spec)
    else:
        with pytest.raises(BadDocumentError):
            read(**spec)


def test_a_taint_without_a_value_has_an_empty_one() -> None:
    assert node_of(taints=[{"key": "a"}]).taints == (Taint(key="a"),)


def test_labels_that_miaas_sets_cannot_be_set_by_people() -> None:
    with pytest.raises(BadDocumentError, match="one of those that MIaaS sets itself"):
        parse_node(a_text("Node", {}, labels={"miaas/arch": "amd64"}), path="x")


def test_a_file_of_unknown_keys_is_told_in_a_page() -> None:
    spec = {f"template{number}": 1 for number in range(9000)}

    with pytest.raises(BadDocumentError) as caught:
        deployment_of(**spec)

    assert len(caught.value.problems) == 50


def test_a_strange_key_cannot_forge_a_second_line_or_colour_a_terminal() -> None:
    with pytest.raises(BadDocumentError) as caught:
        deployment_of(**{"a\nb": 1, "\x1b[31m": 2, "\u202e": 3})

    assert [str(problem).split(" is not known")[0] for problem in caught.value.problems] == [
        "x:7:5: spec.'a\\nb'",
        "x:9:3: spec.'\\x1b[31m'",
        "x:10:3: spec.'\\u202e'",
    ]
