"""Conditions on labels: reading, writing, and what the schema cannot say of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from schemas.marks import Keys
from schemas.page import Page
from schemas.resources import Expression, Operator


def read_expression(plain: Mapping[str, Any]) -> Expression:
    """Read one condition in its long form."""
    return Expression(
        key=plain["key"],
        operator=Operator(plain["operator"]),
        values=tuple(plain.get("values", [])),
    )


def write_expression(expression: Expression) -> dict[str, Any]:
    """Write one condition."""
    head = {"key": expression.key, "operator": expression.operator.value}
    return head | ({"values": list(expression.values)} if expression.values else {})


def check_expressions(page: Page, *keys: str) -> None:
    """Refuse conditions whose values do not suit their operator. keys: of the list of them."""
    for index, entry in page.entries(*keys):
        if isinstance(index, int):  # in the short form every entry means In
            _check(page, (*keys, index), entry)


def _check(page: Page, keys: Keys, entry: Mapping[str, Any]) -> None:
    values = entry.get("values", [])
    fix = _values_fix(entry["operator"], values)
    if fix:
        what = f"the operator {entry['operator']} has {len(values) or 'no'} values"
        if len(values) == 1:
            what = f"the operator {entry['operator']} has the value {values[0]!r}"
        page.refuse((*keys, "values") if values else keys, (what, fix))


_NUMBER: Final = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?\Z")


def _values_fix(operator: str, values: list[str]) -> str | None:
    """What to do about the values of a condition; None where they suit its operator."""
    match operator:
        case "In" | "NotIn":
            return None if values else "give it the values to compare with"
        case "Exists" | "DoesNotExist":
            return "remove the values, or use In" if values else None
        case _:
            single = len(values) == 1 and _NUMBER.match(values[0])
            return None if single else 'give it one number in quotes, like ["4"]'
