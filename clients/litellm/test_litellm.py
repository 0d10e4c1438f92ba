"""litellm, as a client of both protocols and with its router."""

import asyncio
import json
import math

import litellm
import pytest

import served

DOUBLE = {"model": "openai/double", "api_base": served.DOUBLE + "/v1", "api_key": served.KEY, "num_retries": 0, "max_retries": 0}
DEMO = {"model": "openai/demo", "api_base": served.DEMO + "/v1", "api_key": "none", "num_retries": 0, "max_retries": 0}
ANTHROPIC = {"model": "anthropic/double", "api_base": served.DOUBLE, "api_key": served.KEY, "num_retries": 0, "max_retries": 0}
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}},
}


def user(text):
    return [{"role": "user", "content": text}]


def ask(text, server=DOUBLE, **options):
    return litellm.completion(**{**server, "messages": user(text), **options})


@pytest.mark.parametrize("server", [DOUBLE, ANTHROPIC])
def test_chat(server):
    got = ask(served.write(" Hello."), server)
    assert (got.choices[0].message.content, got.choices[0].finish_reason) == ("Hello.", "stop")
    assert got.usage.total_tokens == got.usage.prompt_tokens + got.usage.completion_tokens > 0
    chunks = list(ask(served.write(" One two three."), server, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "One two three."
    rebuilt = litellm.stream_chunk_builder(chunks)
    assert rebuilt.choices[0].message.content == "One two three." and rebuilt.usage.completion_tokens > 0
    cut = ask(served.write(" one two three"), server, max_tokens=1)
    assert (cut.choices[0].message.content, cut.choices[0].finish_reason) == ("one", "length")
    assert ask(served.write(" one two three"), server, stop=[" three"]).choices[0].message.content == "one two"


@pytest.mark.parametrize("server", [DOUBLE, ANTHROPIC])
def test_tools(server):
    for choice in ("auto", "required", {"type": "function", "function": {"name": "weather"}}):
        got = ask("Oslo, 2 days", server, tools=[WEATHER], tool_choice=choice)
        call = got.choices[0].message.tool_calls[0]
        assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Oslo, 2 days", "days": 2})
        assert got.choices[0].finish_reason == "tool_calls"
    messages = [*user("Oslo, 2 days"), got.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
    assert ask("", server, messages=messages, tools=[WEATHER]).choices[0].message.content == "The tool says: rain"
    rebuilt = litellm.stream_chunk_builder(list(ask("Oslo, 2 days", server, tools=[WEATHER], stream=True)))
    assert json.loads(rebuilt.choices[0].message.tool_calls[0].function.arguments) == {"city": "Oslo, 2 days", "days": 2}


@pytest.mark.parametrize("server", [DOUBLE, ANTHROPIC])
def test_thought(server):
    text = served.write(">\nA greeting.\n</think>\n\nHello!")
    got = ask(text, server, reasoning_effort="low", allowed_openai_params=["reasoning_effort"], max_tokens=4000)
    assert got.choices[0].message.content == "Hello!" and got.choices[0].message.reasoning_content.strip() == "A greeting."


def test_forms():
    schema = {"type": "object", "properties": {"legs": {"type": "integer", "minimum": 0, "maximum": 8}}, "required": ["legs"], "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "animal", "strict": True, "schema": schema}}
    got = ask("A fox.", DEMO, response_format=form, max_tokens=100, allowed_openai_params=["response_format"])
    assert 0 <= json.loads(got.choices[0].message.content)["legs"] <= 8
    assert ask("Any.", response_format={"type": "json_object"}).choices[0].message.content == "{}"


def test_completion():
    got = litellm.text_completion(**{**DEMO, "model": "text-completion-openai/demo"}, prompt="Once upon a time", echo=True, logprobs=1, max_tokens=2, temperature=0)
    found = got.choices[0].logprobs
    assert got.choices[0].text.startswith("Once upon a time") and "".join(found["tokens"] if isinstance(found, dict) else found.tokens) == got.choices[0].text
    texts = [c.choices[0].text or "" for c in litellm.text_completion(
        **{**DOUBLE, "model": "text-completion-openai/double"}, prompt=served.write(" one two"), stream=True)]
    assert "".join(texts) == " one two"


def test_embeddings():
    got = litellm.embedding(**DEMO, input=["The fox.", "A hen."], dimensions=32, allowed_openai_params=["dimensions"])
    for item in got.data:
        assert math.isclose(sum(x * x for x in item["embedding"]), 1, abs_tol=1e-4) and len(item["embedding"]) == 32


def test_responses():
    options = {key: DOUBLE[key] for key in ("model", "api_base", "api_key")}
    first = litellm.responses(**options, input=served.write(" Hello."))
    assert first.output[0].content[0].text == "Hello." and first.status == "completed"
    second = litellm.responses(**options, input="show", previous_response_id=first.id)
    assert json.loads(second.output[0].content[0].text).endswith("Assistant: Hello.\n\nUser: show\n\nAssistant:")
    kinds = [event.type for event in litellm.responses(**options, input=served.write(" One two."), stream=True)]
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed"


def test_errors():
    for options, error in (
        ({"temperature": -1}, litellm.BadRequestError),
        ({"model": "openai/other"}, litellm.NotFoundError),
        ({"api_key": "wrong"}, litellm.AuthenticationError),
        ({"messages": user("busy 1 litellm")}, litellm.RateLimitError),
    ):
        with pytest.raises(error):
            ask("Hi", **options)
    with pytest.raises(litellm.AuthenticationError):
        ask("Hi", ANTHROPIC, api_key="wrong")
    with pytest.raises(litellm.Timeout):
        ask('hang "one"', timeout=1)
    served.eventually(lambda: served.running(served.DOUBLE) == 0)


def test_router():
    """A router spreads calls over both servers, and tries again where one is busy."""
    names = [{"model_name": "any", "litellm_params": {k: v for k, v in server.items() if k not in ("num_retries", "max_retries")}} for server in (DOUBLE,)]
    router = litellm.Router(model_list=names, num_retries=3, retry_after=0)

    async def answers():
        calls = [router.acompletion(model="any", messages=user(served.write(f" {i}"))) for i in range(8)]
        return [got.choices[0].message.content for got in await asyncio.gather(*calls)]

    assert asyncio.run(answers()) == [str(i) for i in range(8)]
    got = router.completion(model="any", messages=user("busy 2 litellm-router"))
    assert got.choices[0].message.content == "You said: busy 2 litellm-router"
