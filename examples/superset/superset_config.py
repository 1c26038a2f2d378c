"""Superset for one machine: a SQLite file for its own tables, and no login of its own over HTTPS in front of it."""

import os
import pathlib

HOME = pathlib.Path(os.environ["SUPERSET_HOME"])
SECRET_KEY = (HOME / "secret-key").read_text()
SQLALCHEMY_DATABASE_URI = f"sqlite:///{HOME / 'superset.db'}"

# The page is served to this machine over plain HTTP, and start.py talks to the API with a token instead of a form.
TALISMAN_ENABLED = False
WTF_CSRF_ENABLED = False

ROW_LIMIT = 5000
SQLLAB_TIMEOUT = 60
