"""The SQLAlchemy dialect `jetway://`, for SQLAlchemy 1.4 (as Superset has it), 2.0 and 2.1."""

from .dialect import JetwayDialect
from .types import ArrowType

__all__ = ["ArrowType", "JetwayDialect"]
