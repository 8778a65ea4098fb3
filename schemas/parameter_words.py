"""What jsonschema says of a value, in the words of all other messages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from jsonschema.exceptions import ValidationError

from schemas import words
from schemas.check import Finding, repeated
from schemas.marks import Keys
from schemas.words import Words

# (where it stands, the value, the limit that it breaks, the schema around the limit)
Explain: TypeAlias = Callable[[Keys, Any, Any, Any], Words]


def explain(error: ValidationError, base: Keys, written: Mapping[Keys, str]) -> Iterator[Finding]:
    """One error of the library as findings: some of its errors speak of several keys.

    base: where the value that was checked stands in its document.
    """
    keys: Keys = (*base, *error.absolute_path)
    limit: Any = error.validator_value
    value: Any = error.instance
    schema: Any = error.schema
    match error.validator:
        case "required":
            known = schema.get("properties", {})
            for key in (key for key in limit if key not in value):
                yield Finding(keys, *words.missing((*keys, key), known.get(key, {})))
        case "additionalProperties" if limit is False:
            names = list(schema.get("properties", {}))
            for key in (key for key in value if key not in names):
                yield Finding((*keys, key), *words.unknown((*keys, key), names), at_key=True)
        case "anyOf" | "oneOf" if error.context:
            yield Finding(keys, *_no_form(keys, value, error.context, base, written))
        case "type":
            kinds = [limit] if isinstance(limit, str) else list(limit)
            yield Finding(keys, *words.wrong_type(keys, value, kinds, written.get(keys), schema))
        case rule if rule in _WORDS:
            yield Finding(keys, *_WORDS[str(rule)](keys, value, limit, schema))
        case rule:
            what = f"{words.named(keys)} is {words.shown(value)}, and breaks the rule {rule}"
            yield Finding(keys, what, f"its template asks for {rule}: {json.dumps(limit)[:200]}")


def _no_form(
    keys: Keys,
    value: object,
    errors: list[ValidationError],
    base: Keys,
    written: Mapping[Keys, str],
) -> Words:
    # The form that was probably meant is the one whose error lies deepest.
    deepest = max(errors, key=lambda error: len(error.absolute_path))
    found = next(explain(deepest, base, written))
    what = f"{words.named(keys)} is {words.shown(value)}, and fits none of the allowed forms"
    return what, f"for the nearest of them: {found.fix} ({found.what})"


def _length(keys: Keys, value: Any, _limit: Any, schema: Any) -> Words:
    return words.bad_length(keys, value, schema)


_WORDS: Final[Mapping[str, Explain]] = {
    "enum": lambda keys, value, limit, _: words.not_one_of(keys, value, limit),
    "const": lambda keys, value, limit, _: words.not_exactly(keys, value, limit),
    "minimum": lambda keys, value, limit, _: words.too_small(keys, value, limit),
    "maximum": lambda keys, value, limit, _: words.too_large(keys, value, limit),
    "minLength": _length,
    "maxLength": _length,
    "minItems": _length,
    "maxItems": _length,
    "minProperties": _length,
    "maxProperties": _length,
    "pattern": lambda keys, value, limit, schema: words.no_match(
        keys, value, limit, schema.get("patternErrorMessage")
    ),
    "uniqueItems": lambda keys, value, _limit, _schema: words.twice(keys, repeated(value)[0]),
}
