"""The program of docs/clients.md with Anthropic's client."""

import pages
import pytest


@pytest.mark.parametrize("program", pages.programs("anthropic"))
def test_runs(program):
    pages.run(program)


def test_is_there():
    assert len(pages.programs("anthropic")) == 1
