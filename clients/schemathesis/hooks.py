"""What Schemathesis has to know of the server besides its description."""

import pathlib
import re

import schemathesis
from hypothesis import strategies

# Messages of values that match their schemas and cannot be used, which the description says in words.
UNSAID = re.compile("|".join((pathlib.Path(__file__).parents[2] / "server/testdata/unsaid.txt").read_text().splitlines()))
TOGETHER = re.compile("asks for [0-9]+ answers together")  # which depends on the server

words = strategies.sampled_from(["a", "fox", "\u4f60\u597d", "[0-9]{1,3}", "(yes|no)", "a*b", "x?", "\\w+ \\d"])
schemathesis.openapi.format("regex", words)
schemathesis.openapi.format("gbnf", strategies.sampled_from(['root ::= "a"', 'root ::= [a-z]+ | "x" root', 'root ::= ("yes" | "no") "."?']))


@schemathesis.hook
def map_body(context, body):
    """Asks for the model that there is: another one is status 404."""
    if isinstance(body, dict) and isinstance(body.get("model"), str):
        body["model"] = None
    return body


@schemathesis.check
def usable(ctx, response, case):
    """What matches its schema is taken, unless the description says in words why not."""
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code != 400:
        return
    assert UNSAID.search(response.text) or TOGETHER.search(response.text), f"a valid request is refused: {response.text}"
