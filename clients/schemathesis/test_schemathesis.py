"""Schemathesis: thousands of requests, made of the server's description, valid ones and others.

No answer has a status of 500 or more, every answer is as the description says, what the description allows is taken, and
what it does not allow is refused.
"""

import json
import os
import pathlib
import subprocess
import sys
import urllib.request

import pytest
from openapi_spec_validator import validate

import served

LEAST = 10_000  # requests to each server
EXAMPLES = "80"  # of random requests to a path, at the most


@pytest.fixture(scope="session")
def demo():
    """A server of the demo model that asks for a key, takes any name of the model and writes short answers."""
    program = [os.environ["RWKV_BINARY"], "serve", "--json", "--listen=127.0.0.1:0", "--model-name=demo", "--model-name=*"]
    limits = ["--max-tokens=8", "--queue=256", "--cache-ram=64M"]
    environment = os.environ | {"RWKV_API_KEY": served.KEY}
    with subprocess.Popen(program + limits, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        yield json.loads(server.stdout.readline())["listening"]
        server.terminate()
        assert server.wait(60) == 0


def answered(url):
    """Returns how many requests a server has answered, and how many of them with a status of 500 or more."""
    counts = {name: value for name, value in served.metrics(url).items() if name.startswith("rwkv_requests_total{")}
    return sum(counts.values()), sum(value for name, value in counts.items() if 'status="5' in name)


def check(url, folder):
    with urllib.request.urlopen(url + "/openapi.json", timeout=60) as answer:
        validate(json.load(answer))  # by the OpenAPI Specification
    before, _ = answered(url)
    command = [pathlib.Path(sys.executable).parent / "schemathesis", "run", url + "/openapi.json", "--header=Authorization: Bearer " + served.KEY]
    options = ["--max-examples=" + EXAMPLES, "--continue-on-failure", "--exclude-checks=positive_data_acceptance", "--warnings=off", "--request-timeout=300"]
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(pathlib.Path(__file__).parent)}
    done = subprocess.run(command + options, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    after, failed = answered(url)
    assert after - before >= LEAST and failed == 0, f"{after - before} requests, {failed} with a status of 500 or more\n{done.stdout}"


def test_double(tmp_path):
    check(served.DOUBLE, tmp_path)


def test_demo(demo, tmp_path):
    check(demo, tmp_path)
