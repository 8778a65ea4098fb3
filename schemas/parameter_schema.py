"""The JSON Schema of a template's parameters: whether it can be used, and using it.

Users write these schemas, so they are bounded: references stay inside the document, patterns are
matched in linear time, and a check ends after a number of steps, whatever refers to what.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, Final, TypeAlias, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from jsonschema_specifications import (  # type: ignore[import-untyped] # it has no types
    REGISTRY as SPECIFICATIONS,
)
from referencing import Registry

from schemas import words
from schemas.check import FINDINGS_MAX, Finding, repeated
from schemas.marks import Keys
from schemas.parameter_words import explain
from schemas.patterns import BadPatternError, compile_pattern
from schemas.words import Schema

# A real template takes some hundreds. What refers to itself 2^30 times has to end.
STEPS_MAX: Final = 50_000

# Where parameters stand in a deployment, and their schema in a template.
HERE: Final[Keys] = ("spec", "parameters")

_ONE: Final = frozenset(
    {"additionalProperties", "items", "contains", "not", "if", "then", "else", "propertyNames"}
)
_MANY: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_NAMED: Final = frozenset({"properties", "$defs", "definitions", "dependentSchemas"})
_KNOWN: Final = (
    _ONE
    | _MANY
    | _NAMED
    | {"$ref", "$schema", "$comment", "title", "description", "default", "examples", "deprecated"}
    | {"readOnly", "writeOnly", "type", "enum", "const", "multipleOf", "maximum", "minimum"}
    | {"exclusiveMaximum", "exclusiveMinimum", "maxLength", "minLength", "pattern", "maxItems"}
    | {"minItems", "uniqueItems", "maxContains", "minContains", "maxProperties", "minProperties"}
    | {"required", "dependentRequired", "format", "patternErrorMessage", "markdownDescription"}
)
# Their implementation searches with `re`, or walks the schema once more for each level.
_REFUSED: Final = frozenset({"patternProperties", "unevaluatedProperties", "unevaluatedItems"})

Rule: TypeAlias = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]


class EndlessSchemaError(Exception):
    """Using a schema took more steps than STEPS_MAX."""


def vet(schema: Schema) -> tuple[Finding, ...]:
    """Everything that keeps a schema of parameters from being used, placed in template.yaml."""
    return _vetted(json.dumps(schema))


@lru_cache(maxsize=256)
def _vetted(text: str) -> tuple[Finding, ...]:
    # By its text: the same few schemas are asked for with every deployment of every pass.
    schema = json.loads(text)
    findings = [*_structure(schema)]
    if not findings:
        findings = [*_oddities(schema)]
    if not findings:
        findings = [*_bad_defaults(schema)]
    return tuple(findings)


def judge(schema: Schema, value: object, written: Mapping[Keys, str]) -> tuple[Finding, ...]:
    """Everything that is wrong with parameters, by a schema that was vetted, placed there.

    written: numbers, true, false and null of the deployment as a person wrote them.
    """
    return _judge(schema, schema, value, HERE, written)


def _judge(
    root: Schema, part: Schema, value: object, keys: Keys, written: Mapping[Keys, str]
) -> tuple[Finding, ...]:
    validator = _validator(root).evolve(schema=part)
    try:
        errors = list(validator.iter_errors(cast("Any", value)))
    except (EndlessSchemaError, RecursionError):
        return (Finding(keys, *ENDLESS),)
    except (ArithmeticError, BadPatternError) as error:
        what = f"a value cannot be checked: {error}"
        return (Finding(keys, what, "use a smaller value"),)
    found = (finding for error in errors for finding in explain(error, keys, written))
    return tuple(dict.fromkeys(islice(found, FINDINGS_MAX)))


ENDLESS: Final = (
    f"checking the parameters took more than {STEPS_MAX} steps",
    "simplify the template's schema: something in it refers to itself over and over",
)


def _validator(schema: Schema) -> Validator:
    left = STEPS_MAX

    def counted(rule: Rule) -> Rule:
        def count(validator: Any, limit: Any, value: Any, schema: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise EndlessSchemaError
            return rule(validator, limit, value, schema)

        return count

    rules: dict[str, Rule] = {**Draft202012Validator.VALIDATORS, **_OWN_RULES}
    kind: Any = extend(  # type: ignore[no-untyped-call] # its stub has no types
        Draft202012Validator,
        {name: counted(rule) for name, rule in rules.items()},
        type_checker=_TYPES,
    )
    # An empty registry: a reference to elsewhere fails, and never goes out over the network.
    validator: Validator = kind(schema, registry=Registry())
    return validator


# 2.0 is written as a number with a part after the point, and would be rendered as such.
_TYPES: Final = Draft202012Validator.TYPE_CHECKER.redefine(
    "integer", lambda _checker, value: isinstance(value, int) and not isinstance(value, bool)
)


def _pattern(validator: Any, pattern: Any, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(value, "string") and not compile_pattern(pattern).found_in(value):
        yield ValidationError("pattern")


def _unique(validator: Any, wanted: Any, value: Any, _schema: Any) -> Iterator[ValidationError]:
    # The library compares each with each, which is slow for thousands of maps.
    if wanted and validator.is_type(value, "array") and repeated(value):
        yield ValidationError("uniqueItems")


_OWN_RULES: Final[dict[str, Rule]] = {"pattern": _pattern, "uniqueItems": _unique}


def _structure(schema: Schema) -> Iterator[Finding]:
    """What breaks the rules of JSON Schema itself."""
    meta = Draft202012Validator(Draft202012Validator.META_SCHEMA, registry=SPECIFICATIONS)
    for error in meta.iter_errors(schema):
        yield from explain(error, HERE, {})
    if schema.get("type") != "object":
        what = "the schema of the parameters is not of type object"
        yield Finding((*HERE, "type") if "type" in schema else HERE, what, "write `type: object`")


def _parts(schema: object, keys: Keys = HERE) -> Iterator[tuple[Keys, Schema]]:
    """The schema and all schemas in it, with where they stand."""
    if not isinstance(schema, Mapping):
        return
    yield keys, schema
    for key, entry in schema.items():
        if key in _ONE:
            yield from _parts(entry, (*keys, key))
        elif key in _MANY:
            for index, part in enumerate(entry):
                yield from _parts(part, (*keys, key, index))
        elif key in _NAMED:
            for name, part in entry.items():
                yield from _parts(part, (*keys, key, name))


def _oddities(root: Schema) -> Iterator[Finding]:
    """What JSON Schema allows and we do not."""
    for keys, part in _parts(root):
        yield from _odd_keywords(keys, part)
        if "$ref" in part and _target(root, part["$ref"]) is None:
            what = f"the reference {words.shown(part['$ref'])} leads nowhere in this document"
            fix = "write it like #/$defs/name, and define that name"
            yield Finding((*keys, "$ref"), what, fix)
        try:
            compile_pattern(str(part.get("pattern", "")))
        except BadPatternError as error:
            what = f"this pattern cannot be used: {error}"
            yield Finding((*keys, "pattern"), what, "simplify it")


def _odd_keywords(keys: Keys, part: Schema) -> Iterator[Finding]:
    for key in part:
        where = (*keys, key)
        if key in _REFUSED or (key.startswith("$") and key not in _KNOWN):
            what = f"{words.dotted(where)} is not supported here"
            yield Finding(where, what, "remove it, or write it another way", at_key=True)
        elif key not in _KNOWN and not key.startswith("x-"):
            yield Finding(where, *words.unknown(where, sorted(_KNOWN)), at_key=True)


def _bad_defaults(root: Schema) -> Iterator[Finding]:
    for keys, part in _parts(root):
        if "default" in part:
            for finding in _judge(root, part, part["default"], (*keys, "default"), {}):
                what = f"{finding.what}, by the schema that it stands in"
                yield Finding((*keys, "default"), what, finding.fix)


def _target(root: Schema, reference: object) -> object:
    """What a local reference means; None: nothing."""
    if reference == "#":
        return root
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def with_defaults(schema: Schema, value: object) -> Any:
    """The value with the defaults of what is not given, in maps and lists, as deep as it goes.

    A map that is missing and has no default of its own is not made up from the defaults inside.

    Raises:
        EndlessSchemaError: the defaults bring in each other over and over.
    """
    return _Filler(schema).filled(schema, value)


@dataclass(slots=True)
class _Filler:
    root: Schema
    left: int = STEPS_MAX

    def filled(self, schema: object, value: object) -> Any:
        self.left -= 1
        if self.left < 0:
            raise EndlessSchemaError
        if not isinstance(schema, Mapping):
            return value
        if "$ref" in schema:
            value = self.filled(_target(self.root, schema["$ref"]), value)
        if isinstance(value, list):
            return [self.filled(schema.get("items"), item) for item in value]
        return self.filled_map(schema, value) if isinstance(value, Mapping) else value

    def filled_map(self, schema: Schema, value: Mapping[str, object]) -> dict[str, object]:
        filled = dict(value)
        parts: Any = schema.get("properties", {})
        for key, part in parts.items():
            if key not in filled and isinstance(part, Mapping) and "default" in part:
                filled[key] = json.loads(json.dumps(part["default"]))
            if key in filled:
                filled[key] = self.filled(part, filled[key])
        return filled
