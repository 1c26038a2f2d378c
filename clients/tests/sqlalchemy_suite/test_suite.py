"""SQLAlchemy's compliance suite, as it is for every dialect."""

from sqlalchemy.testing.suite import *  # noqa: F403
