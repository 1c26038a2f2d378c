"""Starts Apache Superset from PyPI, with a dashboard over the demo datasets of a node. Python 3.11.

    export JETWAY_TOKEN=$(cat jetway-data/admin-token)
    python3.11 examples/superset/start.py --node 127.0.0.1:50050

The packages (about 800 MB) and Superset's own tables are kept in `superset-data/`; delete the folder to begin anew. Ctrl-C stops it.
"""

import argparse
import os
import pathlib
import secrets
import signal
import subprocess
import sys
import time
import urllib.request

import provision

HERE = pathlib.Path(__file__).resolve().parent
CLIENT = HERE.parents[1] / "clients" / "python"
START_LIMIT = 120


class Start:
    """An installation of Superset in a folder."""

    def __init__(self, home: pathlib.Path, port: int, packages: pathlib.Path):
        self.home, self.port, self.packages = home.resolve(), port, packages.resolve()
        self.environment = {
            **os.environ,
            "SUPERSET_HOME": str(self.home),
            "SUPERSET_CONFIG_PATH": str(HERE / "superset_config.py"),
            "FLASK_APP": "superset",
        }

    def install(self) -> None:
        """Makes the Python environment, unless it is there as the requirements say, and puts the checkout's client into it."""
        pip = [self.packages / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        wanted = (HERE / "requirements.txt").read_text()
        made = self.packages / "made-from"
        if not made.exists() or made.read_text() != wanted:
            print("Installing Superset: this takes a few minutes", flush=True)
            subprocess.run([sys.executable, "-m", "venv", "--clear", self.packages], check=True)
            subprocess.run([*pip, "-r", HERE / "requirements.txt"], check=True)
            # Last, so that an interrupted installation is made anew.
            made.write_text(wanted)
        subprocess.run([*pip, "--no-deps", "--force-reinstall", CLIENT], check=True)

    def prepare(self, user: str, password: str) -> None:
        """Makes Superset's own tables and its administrator."""
        self.home.mkdir(parents=True, exist_ok=True)
        key = self.home / "secret-key"
        if not key.exists():
            key.touch(mode=0o600)
            key.write_text(secrets.token_urlsafe(42))
        if (self.home / "prepared").exists():
            return
        print("Preparing Superset's own tables")
        person = ["--firstname", "Ada", "--lastname", "Admin", "--email", "admin@example.org"]
        for step in (
            ["db", "upgrade"],
            ["fab", "create-admin", "--username", user, "--password", password, *person],
            ["init"],
        ):
            done = subprocess.run(
                [self.packages / "bin" / "superset", *step], env=self.environment, capture_output=True, text=True
            )
            if done.returncode != 0:
                sys.exit(f"superset {step[0]} failed:\n{done.stdout}\n{done.stderr}")
        # Last, so that an interrupted preparation is made anew.
        (self.home / "prepared").touch()

    def serve(self) -> subprocess.Popen[bytes]:
        """Starts the server and waits until it answers."""
        log = open(self.home / "superset.log", "ab")
        server = subprocess.Popen(
            [
                *(self.packages / "bin" / "gunicorn", "-w", "1", "--threads", "8", "-k", "gthread", "--timeout", "120"),
                *("-b", f"127.0.0.1:{self.port}", "superset.app:create_app()"),
            ],
            env=self.environment,
            stdout=log,
            stderr=log,
        )
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline and server.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=5):
                    return server
            except OSError:
                time.sleep(0.5)
        server.terminate()
        sys.exit(f"Superset did not start; see {self.home / 'superset.log'}")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--node", default="127.0.0.1:50050", help="host and port of the node's Flight side")
    parser.add_argument("--port", type=int, default=8088, help="where Superset listens")
    parser.add_argument("--home", type=pathlib.Path, default=pathlib.Path("superset-data"), help="where it keeps its state")
    parser.add_argument("--packages", type=pathlib.Path, help="its Python environment; in its home when left out")
    parser.add_argument("--user", default="admin", help="Superset's own administrator")
    parser.add_argument("--password", default="admin")
    arguments = parser.parse_args()
    token = os.environ.get("JETWAY_TOKEN")
    if not token:
        sys.exit("set JETWAY_TOKEN: `jetway token create` prints one")

    start = Start(arguments.home, arguments.port, arguments.packages or arguments.home / "venv")
    start.install()
    start.prepare(arguments.user, arguments.password)
    server = start.serve()
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    try:
        superset = provision.Superset(start.url, arguments.user, arguments.password)
        dashboard = provision.provision(superset, f"jetway://{arguments.node}/admin?token={token}")
        print(f"Superset is up: {dashboard} (user {arguments.user})", flush=True)
        server.wait()
    except KeyboardInterrupt:
        pass
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
