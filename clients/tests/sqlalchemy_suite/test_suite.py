"""SQLAlchemy's compliance suite, as it is for every dialect."""

from sqlalchemy.testing import fixtures
from sqlalchemy.testing.suite import *  # noqa: F403

# The suite empties tables with DELETE between tests. Rows of datasets stay, so the tables are made anew instead.
for _class in list(globals().values()):
    if isinstance(_class, type) and issubclass(_class, fixtures.TablesTest) and _class.run_deletes == "each":
        if _class.run_define_tables == "once" and _class.run_inserts != "once":
            _class.run_define_tables, _class.run_inserts, _class.run_deletes = "each", "each", None
