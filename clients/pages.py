"""The programs in Python of docs/clients.md, for the server with the demo model."""

import os
import pathlib
import re
import subprocess
import sys

from served import DEMO

PAGE = pathlib.Path(os.environ["RWKV_PAGES"]) / "clients.md"


def programs(module):
    """Returns the programs that import a module."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return [
        block.replace("http://127.0.0.1:8080", DEMO).replace('model="rwkv"', 'model="demo"')
        for block in blocks
        if f"from {module} import" in block
    ]


def run(program):
    """Runs a program, which must end well and write something, and returns that."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    return done.stdout
