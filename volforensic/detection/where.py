"""A rule's ``where`` as a function: Sigma's ``field|modifier`` notation and nothing more.

A dict holds where every entry does, a list of dicts where one of them does. An entry's list of values holds where one
value does (every one with the modifier ``all``). A field that holds a list is meant where one of its items is. Text is
compared without case (``cased``: with it) and with the wildcards ``*`` and ``?``; regular expressions with case.
``null`` means a missing field. The notation is that of the Sigma specification, version 2 (modifiers appendix).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from volforensic.detection import value_tests
from volforensic.detection.value_tests import Test
from volforensic.errors import DefinitionError
from volforensic.record import Row

Predicate: TypeAlias = Callable[[Row], bool]

_WILDCARD = re.compile(r"[*?\\]")
_POSITIONS = frozenset({"contains", "startswith", "endswith"})
_COMPARISONS = frozenset({"gt", "gte", "lt", "lte"})
_KINDS = _POSITIONS | _COMPARISONS | {"re", "cidr", "exists"}
_SPECIFIERS = {"cased": _POSITIONS | {""}, "i": frozenset({"re"}), "m": frozenset({"re"}), "s": frozenset({"re"})}
_COSTS = {"exists": 0, "": 0, "startswith": 1, "endswith": 1, "contains": 2, "cidr": 3, "re": 4}
_FIELD_VALUES: dict[str, tuple[type, ...]] = {"integer": (int,), "boolean": (bool,), "string": (str,), "list": (str,)}


def compile_where(where: Mapping[str, Any] | Sequence[Mapping[str, Any]], fields: Mapping[str, str]) -> Predicate:
    """Return the predicate over records that ``where`` stands for.

    ``fields`` are the fields that records have and their types (string, integer, boolean, list).

    Raises:
        DefinitionError: A field or a modifier is unknown, or a value is not of a kind that the two can have.
    """
    predicates = [_all_of(alternative, fields) for alternative in alternatives(where)]
    if not predicates:
        raise DefinitionError("where", "it is empty")
    if len(predicates) == 1:
        return predicates[0]
    return lambda row: any(predicate(row) for predicate in predicates)


def alternatives(where: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return what a ``where`` offers: the one set of conditions, or each of several."""
    return [where] if isinstance(where, Mapping) else where


def required_texts(where: Mapping[str, Any] | Sequence[Mapping[str, Any]], field: str) -> frozenset[str] | None:
    """Return the texts, in small letters, of which ``field`` must be one where ``where`` holds; None if it need not."""
    required: set[str] = set()
    for alternative in alternatives(where):
        value = alternative.get(field)
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, str) or _WILDCARD.search(one):
                return None
            required.add(one.lower())
    return frozenset(required)


def _all_of(entries: Mapping[str, Any], fields: Mapping[str, str]) -> Predicate:
    if not entries:
        raise DefinitionError("where", "it is empty")
    weighed = []
    for key, value in entries.items():
        try:
            weighed.append(_entry(str(key), value, fields))
        except (re.error, ValueError, OverflowError, RecursionError) as error:
            raise DefinitionError(f"where: {key}", str(error)) from error
    weighed.sort(key=lambda pair: pair[0])
    predicates = [predicate for _, predicate in weighed]
    if len(predicates) == 1:
        return predicates[0]
    first, *others = predicates

    def holds(row: Row) -> bool:
        if not first(row):
            return False
        for predicate in others:  # noqa: SIM110 - a generator costs more than the tests
            if not predicate(row):
                return False
        return True

    return holds


def _entry(key: str, value: Any, fields: Mapping[str, str]) -> tuple[int, Predicate]:
    """Return what one entry costs (for the order of the tests) and its predicate."""
    field, *modifiers = key.split("|")
    kind = next((modifier for modifier in modifiers if modifier in _KINDS), "")
    _check_modifiers(kind, modifiers)
    field_type = fields.get(field) or ("string" if fields.get(field.removesuffix("_bytes")) == "string" else "")
    if not field_type:
        raise ValueError(f"there is no field {field}")
    values = value if isinstance(value, list) else [value]
    if not values:
        raise ValueError("there is no value")
    if kind == "exists":
        return 0, _exists(field, values)
    if "all" in modifiers:
        tests = [_values_test([one], kind, modifiers, field_type) for one in values]
        predicates = [_field_predicate(field, test, null=False) for test in tests]
        return _COSTS.get(kind, 0), lambda row: all(predicate(row) for predicate in predicates)
    null = None in values and not kind
    given = [one for one in values if one is not None] if null else values
    test = _values_test(given, kind, modifiers, field_type) if given else _never
    return _COSTS.get(kind, 0), _field_predicate(field, test, null=null)


def _check_modifiers(kind: str, modifiers: Sequence[str]) -> None:
    for modifier in modifiers:
        if modifier in {kind, "all"}:
            continue
        if modifier not in _SPECIFIERS:
            reason = "cannot stand beside another" if modifier in _KINDS else "is unknown"
            raise ValueError(f"the modifier {modifier} {reason}")
        if kind not in _SPECIFIERS[modifier]:
            raise ValueError(f"the modifier {modifier} does not go with {kind or 'a plain value'}")
    if len(set(modifiers)) != len(modifiers):
        raise ValueError("a modifier stands twice")


def _exists(field: str, values: Sequence[Any]) -> Predicate:
    if len(values) != 1 or not isinstance(values[0], bool):
        raise ValueError("exists takes true or false")
    wanted = values[0]
    return lambda row: (row.get(field) is not None) is wanted


def _field_predicate(field: str, test: Test, *, null: bool) -> Predicate:
    def holds(row: Row) -> bool:
        value = row.get(field)
        if type(value) is list:
            for item in value:  # noqa: SIM110 - a generator costs more than the tests
                if test(item):
                    return True
            return False
        if value is None:
            return null
        return test(value)

    return holds


def _values_test(values: Sequence[Any], kind: str, modifiers: Sequence[str], field_type: str) -> Test:
    """Return the test that any of the values asks for."""
    if kind in _COMPARISONS:
        if field_type != "integer" or not all(type(value) is int for value in values):
            raise ValueError(f"{kind} compares an integer field with an integer")
        return value_tests.any_of([value_tests.comparison(kind, value) for value in values])
    if (kind and field_type not in {"string", "list"}) or not all(
        type(value) in _FIELD_VALUES[field_type] for value in values
    ):
        raise ValueError(f"a {field_type} field is not compared so with {', '.join(repr(value) for value in values)}")
    if kind == "re":
        flags = "".join(modifier for modifier in modifiers if modifier in {"i", "m", "s"})
        return value_tests.any_of([value_tests.regex_test(value, flags) for value in values])
    if kind == "cidr":
        return value_tests.any_of([value_tests.network_test(value) for value in values])
    if field_type in {"integer", "boolean"}:
        return value_tests.any_of([value_tests.exactly(value) for value in values])
    return value_tests.texts(values, kind, cased="cased" in modifiers)


def _never(_value: Any) -> bool:
    return False
