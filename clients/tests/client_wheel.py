"""The wheel of `clients/python`, built as it is published, and importable by the tests and the programs that they start."""

import atexit
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

SOURCE = pathlib.Path(__file__).parents[1] / "python"


def build(folder: pathlib.Path) -> pathlib.Path:
    """Builds the wheel into a folder."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"the wheel cannot be built:\n{done.stdout}\n{done.stderr}"
    (wheel,) = folder.glob("*.whl")
    return wheel


FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="jetway-client-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
WHEEL = build(FOLDER)
# A wheel without compiled parts works unpacked, and brings its entry points along.
SITE = FOLDER / "site"
zipfile.ZipFile(WHEEL).extractall(SITE)
sys.path.insert(0, str(SITE))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(SITE), os.environ.get("PYTHONPATH")]))
