"""Label expressions: whether a node's labels satisfy one, and how to say it."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.resources import Expression, Operator


def holds(expression: Expression, labels: Mapping[str, str]) -> bool:
    """Whether these labels satisfy the expression."""
    return holds_for(expression, labels.get(expression.key))


def holds_for(expression: Expression, value: str | None) -> bool:
    """Whether this value of the expression's key satisfies it. None: the label is missing.

    As operators of this field expect: NotIn is satisfied by a missing label, Gt and Lt never are,
    nor by a value that is no whole number.
    """
    match expression.operator:
        case Operator.IN:
            return value in expression.values
        case Operator.NOT_IN:
            return value not in expression.values
        case Operator.EXISTS:
            return value is not None
        case Operator.DOES_NOT_EXIST:
            return value is None
        case Operator.GREATER_THAN:
            return _compared(value, expression) > 0
        case Operator.LESS_THAN:
            return _compared(value, expression) < 0


def described(expression: Expression) -> str:
    """Say the expression as people write it: `zone In [a, b]`, `gpu Exists`, `cores Gt 8`."""
    match expression.operator:
        case Operator.EXISTS | Operator.DOES_NOT_EXIST:
            return f"{expression.key} {expression.operator}"
        case Operator.GREATER_THAN | Operator.LESS_THAN:
            return f"{expression.key} {expression.operator} {' '.join(expression.values)}"
        case Operator.IN | Operator.NOT_IN:
            return f"{expression.key} {expression.operator} [{', '.join(expression.values)}]"


def _compared(value: str | None, expression: Expression) -> int:
    """Compare as whole numbers: 1 above, -1 below, 0 equal or not comparable."""
    try:
        left, right = int(value or ""), int(expression.values[0])
    except (ValueError, IndexError):
        return 0
    return (left > right) - (left < right)
