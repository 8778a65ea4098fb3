"""The filled parameters of a deployment, checked once for each pair of documents. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, TypeAlias

from schemas.deployment import Deployment
from schemas.parameters import fill
from schemas.problem import BadDocumentError, Problem
from schemas.template import Template

Filled: TypeAlias = Mapping[str, object] | tuple[Problem, ...]

_REMEMBERED_MAX: Final = 20_000
# By identity: a document that did not change is the same object, and comparing whole schemas
# would cost what is saved. The entry holds both documents, so that no identity is used again.
_remembered: OrderedDict[tuple[int, int], tuple[Template, Deployment, Filled]] = OrderedDict()


def filled(template: Template, deployment: Deployment) -> Filled:
    """Fill and check the parameters of a deployment, or say what is wrong with them."""
    key = (id(template), id(deployment))
    if key not in _remembered:
        _remembered[key] = (template, deployment, _fill(template, deployment))
        if len(_remembered) > _REMEMBERED_MAX:
            _remembered.popitem(last=False)
    return _remembered[key][2]


def _fill(template: Template, deployment: Deployment) -> Filled:
    try:
        return fill(template, deployment)
    except BadDocumentError as error:
        return error.problems
