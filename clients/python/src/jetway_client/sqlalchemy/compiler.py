"""SQL as the node reads it: names, limits, and what it has no word for."""

from __future__ import annotations

import typing

from sqlalchemy import util
from sqlalchemy.sql import compiler


class JetwayIdentifierPreparer(compiler.IdentifierPreparer):
    """Names are folded to small letters unless they are quoted."""

    # Words that DataFusion's SQL does not take as names of columns or tables without quotes.
    reserved_words = compiler.RESERVED_WORDS | {
        *("at", "by", "cluster", "cross", "cube", "distribute", "except", "fetch", "full", "group", "having", "inner"),
        *("intersect", "interval", "lateral", "left", "natural", "offset", "outer", "partition", "pivot", "qualify"),
        *("right", "rollup", "sample", "sort", "tablesample", "top", "unnest", "values", "view", "window", "with"),
    }


class JetwayCompiler(compiler.SQLCompiler):
    """Statements."""

    def limit_clause(self, select: typing.Any, **options: typing.Any) -> str:
        text = ""
        if select._limit_clause is not None:
            text += "\n LIMIT " + self.process(select._limit_clause, **options)
        if select._offset_clause is not None:
            text += "\n OFFSET " + self.process(select._offset_clause, **options)
        return text

    def for_update_clause(self, select: typing.Any, **_options: typing.Any) -> str:
        # Readers see a snapshot; there are no locks to take.
        return ""

    def visit_empty_set_expr(self, element_types: typing.Any, **_options: typing.Any) -> str:
        return f"SELECT {', '.join('1' for _ in element_types or ' ')} WHERE 1 != 1"

    def visit_regexp_match_op_binary(self, binary: typing.Any, operator: object, **options: typing.Any) -> str:
        return self._generate_generic_binary(binary, " ~ ", **options)

    def visit_not_regexp_match_op_binary(self, binary: typing.Any, operator: object, **options: typing.Any) -> str:
        return self._generate_generic_binary(binary, " !~ ", **options)

    def visit_now_func(self, function: object, **_options: typing.Any) -> str:
        return "now()"


class JetwayDDLCompiler(compiler.DDLCompiler):
    """CREATE and DROP. What a dataset cannot keep (defaults, checks, references) is refused by the node."""

    def visit_create_index(self, create: typing.Any, *_arguments: typing.Any, **_options: typing.Any) -> str:
        # An index changes no answer, and pandas asks for one whenever it writes a frame with its index.
        util.warn(f"datasets have no indexes of their own: {create.element.name} is left out")
        return "SELECT 1 AS no_index"

    visit_drop_index = visit_create_index
