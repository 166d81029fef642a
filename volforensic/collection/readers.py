"""From the words of a definition to the function that reads a file."""

import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from volforensic.collection.content import Content
from volforensic.collection.definitions import FieldType
from volforensic.collection.line_patterns import compile_lines
from volforensic.errors import DefinitionError
from volforensic.record import Row

Parser: TypeAlias = Callable[[Content], Iterator[Row]]

_PARSERS = "volforensic.collection.parsers"
_PARSER_NAME = re.compile(r"([a-z][a-z0-9_]*)\.([a-z][a-z0-9_]*)")


def resolve_parser(name: str) -> Parser:
    """Return the function that ``module.function`` names: a public one, defined in that module of collection/parsers.

    Raises:
        DefinitionError: There is none.
    """
    match = _PARSER_NAME.fullmatch(name)
    if match is None:
        raise DefinitionError(name, "a parser is named module.function")
    module_name = f"{_PARSERS}.{match[1]}"
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        raise DefinitionError(name, f"there is no parser module {match[1]}") from error
    function = vars(module).get(match[2])
    if not inspect.isfunction(function) or function.__module__ != module_name:
        raise DefinitionError(name, f"the parser module {match[1]} has no function {match[2]}")
    parser: Parser = function
    return parser


def reader(parser: str | None, lines: str | None, fields: Mapping[str, FieldType]) -> Parser:
    """Return the parser of one source of an artifact, named or given as a pattern of lines that fill ``fields``."""
    return resolve_parser(parser) if parser is not None else compile_lines(lines or "", fields)
