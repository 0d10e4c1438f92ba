"""The servers that tests of clients ask, and what these servers count.

As a program it prints how many requests both have answered, but for those for metrics, and how many of the answers have
status 500.
"""

import json
import os
import time
import urllib.request

DEMO = os.environ["RWKV_DEMO"]  # the demo model
DOUBLE = os.environ["RWKV_DOUBLE"]  # the scripted model
KEY = os.environ["RWKV_KEY"]  # of the scripted model's server


def metrics(url):
    """Returns the metrics of a server by their names and labels."""
    request = urllib.request.Request(url + "/metrics", headers={"Authorization": "Bearer " + KEY})
    with urllib.request.urlopen(request, timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line and line[0] != "#")}


def requests():
    """Returns how many requests were answered, and how many of them with status 500."""
    total = failed = 0
    for url in (DEMO, DOUBLE):
        for name, value in metrics(url).items():
            if name.startswith("rwkv_requests_total{") and "/metrics" not in name:
                total += int(value)
                failed += int(value) if 'status="500"' in name else 0
    return total, failed


def eventually(what, seconds=60):
    """Waits until what() is true, and fails if it does not become so."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.05)


def running(url):
    """Returns how many requests a server works on, but for the one that asks."""
    return metrics(url)["rwkv_requests_running"] - 1


def write(text):
    """Returns the message that the scripted model answers with a text."""
    return "write " + json.dumps(text, ensure_ascii=False)


if __name__ == "__main__":
    print(*requests())
