"""SQL as the node reads it: names, limits, and what it has no word for."""

from __future__ import annotations

import typing

from sqlalchemy import exc, util
from sqlalchemy.sql import compiler, sqltypes


class JetwayIdentifierPreparer(compiler.IdentifierPreparer):
    """Names are folded to small letters unless they are quoted."""

    # Words that DataFusion's SQL does not take as names of columns or tables without quotes.
    reserved_words = compiler.RESERVED_WORDS | {
        *(
            "at",
            "by",
            "cluster",
            "cross",
            "cube",
            "distribute",
            "except",
            "fetch",
            "full",
            "group",
            "having",
            "inner",
        ),
        *(
            "intersect",
            "interval",
            "lateral",
            "left",
            "natural",
            "offset",
            "outer",
            "partition",
            "pivot",
            "qualify",
        ),
        *(
            "right",
            "rollup",
            "sample",
            "sort",
            "tablesample",
            "top",
            "unnest",
            "values",
            "view",
            "window",
            "with",
        ),
        # At the start of a line of CREATE TABLE they are no columns.
        *("exclude", "fulltext", "index", "key", "spatial"),
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

    def _like(self, binary: typing.Any, word: str, **options: typing.Any) -> str:
        left, pattern = self.process(binary.left, **options), self.process(binary.right, **options)
        escape = binary.modifiers.get("escape")
        if escape is not None and escape != "\\":
            # The node knows the backslash alone. An escaped escape is kept aside while the others change.
            steps = ((escape * 2, "\x01"), ("\\", "\\\\"), (escape, "\\"), ("\x01", escape))
            for old, new in steps:
                old, new = (self.render_literal_value(text, sqltypes.STRINGTYPE) for text in (old, new))
                pattern = f"replace({pattern}, {old}, {new})"
        return f"{left} {word} {pattern}"

    def visit_like_op_binary(self, binary: typing.Any, operator: object, **options: typing.Any) -> str:
        return self._like(binary, "LIKE", **options)

    def visit_not_like_op_binary(self, binary: typing.Any, operator: object, **options: typing.Any) -> str:
        return self._like(binary, "NOT LIKE", **options)

    def visit_ilike_op_binary(self, binary: typing.Any, operator: object, **options: typing.Any) -> str:
        return self._like(binary, "ILIKE", **options)

    def visit_not_ilike_op_binary(self, binary: typing.Any, operator: object, **options: typing.Any) -> str:
        return self._like(binary, "NOT ILIKE", **options)

    def visit_regexp_match_op_binary(
        self, binary: typing.Any, operator: object, **options: typing.Any
    ) -> str:
        return self._generate_generic_binary(binary, " ~ ", **options)

    def visit_not_regexp_match_op_binary(
        self, binary: typing.Any, operator: object, **options: typing.Any
    ) -> str:
        return self._generate_generic_binary(binary, " !~ ", **options)

    def visit_now_func(self, function: object, **_options: typing.Any) -> str:
        return "now()"


class JetwayDDLCompiler(compiler.DDLCompiler):
    """CREATE and DROP. What a dataset cannot keep is refused by the node, unless the URL says `constraints=ignore`."""

    def _ignored(self) -> bool:
        return self.dialect.constraints == "ignore"

    def visit_foreign_key_constraint(self, constraint: typing.Any, **options: typing.Any) -> str | None:
        return None if self._ignored() else super().visit_foreign_key_constraint(constraint, **options)

    def visit_unique_constraint(self, constraint: typing.Any, **options: typing.Any) -> str | None:
        return None if self._ignored() else super().visit_unique_constraint(constraint, **options)

    def visit_check_constraint(self, constraint: typing.Any, **options: typing.Any) -> str | None:
        return None if self._ignored() else super().visit_check_constraint(constraint, **options)

    def visit_column_check_constraint(self, constraint: typing.Any, **options: typing.Any) -> str:
        return "" if self._ignored() else super().visit_column_check_constraint(constraint, **options)

    def visit_create_index(self, create: typing.Any, *_arguments: typing.Any, **_options: typing.Any) -> str:
        # An index changes no answer (a unique one does), and pandas asks for one whenever it writes a frame's index.
        if not self._ignored():
            if create.element.unique:
                raise exc.CompileError(
                    "datasets have no unique indexes: leave it out, or connect with constraints=ignore"
                )
            util.warn(f"datasets have no indexes of their own: {create.element.name} is left out")
        return "SELECT 1 AS no_index"

    def visit_drop_index(self, _drop: typing.Any, **_options: typing.Any) -> str:
        return "SELECT 1 AS no_index"
