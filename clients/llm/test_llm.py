"""The command llm: prompts, chats that go on, schemas, tools and templates, over chats, completions and responses."""

import json
import os
import subprocess
import sys

import pytest
import yaml

import served

COMMON = {"model_name": "double", "api_base": served.DOUBLE + "/v1", "api_key_name": "double", "supports_schema": True, "supports_tools": True}
MODELS = [
    {"model_id": "chat", **COMMON},
    {"model_id": "responses", **COMMON, "responses": True},
    {"model_id": "completion", **COMMON, "completion": True},
    {"model_id": "wrong", **COMMON, "model_name": "other"},
    {"model_id": "demo", "model_name": "demo", "api_base": served.DEMO + "/v1", "supports_schema": True},
]


@pytest.fixture(scope="module")
def llm(tmp_path_factory):
    """A function that runs the command and returns what it prints."""
    folder = tmp_path_factory.mktemp("llm")
    (folder / "extra-openai-models.yaml").write_text(yaml.safe_dump(MODELS))
    (folder / "keys.json").write_text(json.dumps({"double": served.KEY}))

    def run(*args, stdin="", fails=False):
        done = subprocess.run([sys.executable, "-m", "llm", *args], input=stdin, capture_output=True, text=True, timeout=300,
                              env={**os.environ, "LLM_USER_PATH": str(folder)})
        assert (done.returncode != 0) == fails, done.stderr
        return done.stderr if fails else done.stdout.strip()

    return run


def test_models(llm):
    listed = llm("models")
    assert all(": " + model["model_id"] in listed for model in MODELS)


@pytest.mark.parametrize("model", ["chat", "responses"])
@pytest.mark.parametrize("stream", [[], ["--no-stream"]])
def test_prompt(llm, model, stream):
    assert llm("-m", model, served.write(" Hello."), *stream) == "Hello."
    shown = json.loads(llm("-m", model, "-s", "Be kind.", "show", *stream))
    assert shown.startswith("System: Be kind.\n\nUser: ") and shown.endswith("show\n\nAssistant:")
    assert llm("-m", model, "-u", served.write(" one two"), "-o", "max_tokens", "1", *stream) == "one"
    assert llm("-m", model, stdin=served.write(" From a pipe.")) == "From a pipe."


@pytest.mark.parametrize("model", ["chat", "responses"])
def test_goes_on(llm, model):
    llm("-m", model, served.write(" Hello."))
    assert json.loads(llm("-c", "show")).endswith("Assistant: Hello.\n\nUser: show\n\nAssistant:")
    lines = llm("chat", "-m", model, stdin=served.write(" One.") + "\nshow\nexit\n")
    assert "One." in lines and "Assistant: One.\\n\\nUser: show" in lines


@pytest.mark.parametrize("model", ["chat", "responses"])
@pytest.mark.parametrize("stream", [[], ["--no-stream"]])
def test_schema(llm, model, stream):
    got = json.loads(llm("-m", model, "--schema", "name, legs int", "A fox with 4 legs.", *stream))
    assert sorted(got) == ["legs", "name"] and isinstance(got["legs"], int) and isinstance(got["name"], str)


def test_demo(llm):
    schema = {"type": "object", "properties": {"legs": {"type": "integer", "minimum": 0, "maximum": 8}}, "required": ["legs"], "additionalProperties": False}
    got = json.loads(llm("-m", "demo", "--schema", json.dumps(schema), "A fox.", "-o", "max_tokens", "100"))
    assert 0 <= got["legs"] <= 8
    assert llm("-m", "demo", "Tell me of a fox.", "-o", "max_tokens", "8", "-o", "seed", "1", "-o", "temperature", "0.5")


@pytest.mark.parametrize("model", ["chat", "responses"])
@pytest.mark.parametrize("stream", [[], ["--no-stream"]])
def test_tools(llm, model, stream):
    code = "def weather(city: str, days: int) -> str:\n    return f'{days} days of rain: {city}'\n"
    got = llm("-m", model, "--functions", code, "Oslo, 2 days", *stream)
    assert got == "The tool says: 2 days of rain: Oslo, 2 days"


def test_completion(llm):
    assert llm("-m", "completion", served.write(" one two")) == "one two"


def test_logs(llm):
    llm("-m", "chat", served.write(" Logged."))
    entry = json.loads(llm("logs", "-n", "1", "--json"))[0]
    assert entry["response"] == "Logged." and entry["input_tokens"] > 0 and entry["output_tokens"] > 0


def test_errors(llm):
    assert "no \"other\"" in llm("-m", "wrong", "Hi", fails=True)
    assert "wants a key" in llm("-m", "chat", "--key", "wrong", "Hi", fails=True)
