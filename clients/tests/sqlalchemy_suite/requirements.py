"""What of the suite a node can do. Everything that is closed has its reason here."""

from sqlalchemy.testing import exclusions
from sqlalchemy.testing.requirements import SuiteRequirements

_CLOSED = {
    "Datasets keep keys, and no other constraints": [
        "foreign_key_constraint_reflection",
        "foreign_key_constraint_name_reflection",
        "self_referential_foreign_keys",
        "unique_constraint_reflection",
        "index_reflection",
        "index_ddl_if_exists",
        "check_constraint_reflection",
        "inline_check_constraint_reflection",
        "implicitly_named_constraints",
        "duplicate_key_raises_integrity_error",
    ],
    "A table shows events, to which UPDATE and DELETE add; its state is to_table": [
        "delete_from",
        "update_where_target_in_subquery",
        "autocommit",
        "sane_rowcount",
        "sane_multi_rowcount",
        "update_from",
        "ctes_with_update_delete",
        "ctes_on_dml",
    ],
    "A dataset gives its rows offsets, and no numbers in columns of the user's": [
        "autoincrement_insert",
        "empty_inserts",
        "identity_columns",
        "sequences",
        "insert_returning",
        "returning",
    ],
    "There are no temporary tables, and views are not made by SQL": [
        "temporary_tables",
        "temp_table_reflection",
        "temp_table_names",
        "views",
        "view_column_reflection",
        "view_reflection",
    ],
    "Schemas are accounts, which SQL does not make": ["schemas", "schema_create_delete"],
    "Comments are not kept": ["comment_reflection"],
    "There is no type for JSON; texts hold it": ["json_type"],
    "Savepoints and two-phase commits are refused": ["savepoints", "two_phase_transactions"],
    "There is no ALTER TABLE": ["table_ddl_alter", "rename_column", "alter_column"],
}


class Requirements(SuiteRequirements):
    """Requirements of the suite, for a node."""


for _names in _CLOSED.values():
    for _name in _names:
        setattr(Requirements, _name, property(lambda _self: exclusions.closed()))

for _name in ("foreign_keys", "foreign_key_ddl", "ctes", "window_functions", "datetime_timezone"):
    setattr(Requirements, _name, property(lambda _self: exclusions.open()))
