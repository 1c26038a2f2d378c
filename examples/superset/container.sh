#!/usr/bin/env bash
# What compose.yaml runs: the package in the image's environment, Superset's own tables, the server, the dashboard.
set -euo pipefail

cp -r /jetway-client /tmp/jetway-client # hatchling builds in place, and the checkout is read-only here
if command -v uv >/dev/null; then
    uv pip install /tmp/jetway-client
else
    pip install /tmp/jetway-client
fi

[ -s "$SUPERSET_HOME/secret-key" ] || (umask 077 && python -c "import secrets; print(secrets.token_urlsafe(42), end='')" >"$SUPERSET_HOME/secret-key")
superset db upgrade
superset fab create-admin --username admin --password admin --firstname Ada --lastname Admin --email admin@example.org || true
superset init

gunicorn -w 1 --threads 8 -k gthread --timeout 120 -b 127.0.0.1:8088 'superset.app:create_app()' &
server=$!
until python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8088/health')" 2>/dev/null; do
    kill -0 "$server" && sleep 1
done
python - <<'PYTHON'
import os
import sys

sys.path.insert(0, "/example")
sys.dont_write_bytecode = True
import provision

superset = provision.Superset("http://127.0.0.1:8088", "admin", "admin")
print(provision.provision(superset, f"jetway://127.0.0.1:50050/admin?token={os.environ['JETWAY_TOKEN']}"))
PYTHON
wait "$server"
