"""The runner of SQLAlchemy's own compliance suite."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from sqlalchemy.testing.plugin import pytestplugin  # noqa: E402

from sqlalchemy.testing.plugin.pytestplugin import *  # noqa: E402, F403

assert pytestplugin
