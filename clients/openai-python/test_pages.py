"""The programs of docs/clients.md with OpenAI's client."""

import pages

TELL, PARSE, RESPOND = pages.programs("openai")


def test_tells():
    pages.run(TELL)


def test_parses():
    assert "kind=" in pages.run(PARSE)


def test_responds():
    last = pages.run(RESPOND).splitlines()[-1]
    assert int(last.split()[0]) > 10, last
