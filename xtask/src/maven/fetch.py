"""Fetches a file and keeps it if it is the one that is wanted: URL, SHA-256, where to."""

import hashlib
import os
import sys
import urllib.error
import urllib.request

url, wanted, target = sys.argv[1:]
try:
    with urllib.request.urlopen(url, timeout=60) as answer:
        content = answer.read()
except (OSError, urllib.error.URLError) as error:
    sys.exit(f"{url}: {error}")
found = hashlib.sha256(content).hexdigest()
if found != wanted:
    sys.exit(f"{url}: its SHA-256 is {found} instead of {wanted}")
# Renamed when it is whole, so that an interrupted download leaves nothing that looks complete.
with open(f"{target}.part", "wb") as file:
    file.write(content)
os.replace(f"{target}.part", target)
