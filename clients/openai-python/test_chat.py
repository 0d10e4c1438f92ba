"""OpenAI's client for Python: chats."""

import json
import math
from typing import Literal

import pytest
from openai import OpenAI, pydantic_function_tool
from pydantic import BaseModel, Field

import served

demo = OpenAI(base_url=served.DEMO + "/v1", api_key="none", max_retries=0)
double = OpenAI(base_url=served.DOUBLE + "/v1", api_key=served.KEY, max_retries=0)


def user(text):
    return [{"role": "user", "content": text}]


def ask(text, client=double, **options):
    """Returns the answer of a chat with one message."""
    return client.chat.completions.create(model=options.pop("model", "double"), messages=user(text), **options)


class Weather(BaseModel):
    """Tells the weather."""

    city: str
    days: int


WEATHER = pydantic_function_tool(Weather)
CLOCK = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}, "additionalProperties": False}}}


class Animal(BaseModel):
    name: str = Field(max_length=8)
    legs: int = Field(ge=0, le=8)
    kind: Literal["bird", "fish", "fox"]


def test_answer():
    got = ask(served.write(" Hello, Søren."))
    choice = got.choices[0]
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", "Hello, Søren.", "stop")
    assert got.object == "chat.completion" and got.model == "double" and got.id and got.created and got.system_fingerprint
    usage = got.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens and usage.completion_tokens > 0
    assert usage.prompt_tokens_details.cached_tokens == 0


def test_prompt():
    """Roles and lists of parts reach the model."""
    messages = [
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]},
        {"role": "assistant", "content": "Three."},
        {"role": "user", "name": "ann", "content": "show"},
    ]
    got = double.chat.completions.create(model="double", messages=messages)
    prompt = json.loads(got.choices[0].message.content)
    assert prompt == "System: Be kind.\n\nUser: One.\nTwo.\n\nAssistant: Three.\n\nUser: show\n\nAssistant:"


def test_stream():
    text = " One, two, three."
    chunks = list(ask(served.write(text), stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks[:-1]) == text.strip()
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks[:-1]][-1] == "stop"
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens > 0
    assert len({c.id for c in chunks}) == 1 and len(chunks) > 4


def test_stream_helper():
    with double.chat.completions.stream(model="double", messages=user(served.write(" One two."))) as stream:
        texts = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    assert "".join(texts) == final.choices[0].message.content == "One two." and len(texts) > 1


def test_bounds():
    got = ask(served.write(" one two three four"), max_completion_tokens=2)
    assert (got.choices[0].message.content, got.choices[0].finish_reason, got.usage.completion_tokens) == ("one two", "length", 2)
    assert ask(served.write(" one two three four"), max_tokens=1).choices[0].message.content == "one"
    for stop in (" three", [" three", "zzz"]):
        got = ask(served.write(" one two three four"), stop=stop)
        assert (got.choices[0].message.content, got.choices[0].finish_reason) == ("one two", "stop")


def test_several():
    got = ask("Tell me of a fox.", demo, model="demo", n=3, max_tokens=12, temperature=1, seed=5)
    assert [c.index for c in got.choices] == [0, 1, 2]
    assert len({c.message.content for c in got.choices}) == 3
    texts = {}
    for chunk in ask("Tell me of a fox.", demo, model="demo", n=3, max_tokens=12, temperature=1, seed=5, stream=True):
        for c in chunk.choices:
            texts[c.index] = texts.get(c.index, "") + (c.delta.content or "")
    assert sorted(texts) == [0, 1, 2] and all(texts.values())


def test_seed():
    options = {"model": "demo", "max_tokens": 16, "temperature": 1, "top_p": 1}
    one, again, other = (ask("A story, please.", demo, seed=seed, **options).choices[0].message.content for seed in (7, 7, 8))
    assert one == again != other


def test_settings():
    """The likeliest token is drawn at temperature 0, and none that is forbidden."""
    options = {"model": "demo", "max_tokens": 1, "temperature": 0, "frequency_penalty": 0, "presence_penalty": 0}
    got = ask("Tell me of a fox.", demo, logprobs=True, top_logprobs=5, **options)
    first = got.choices[0].logprobs.content[0]
    assert first.token == first.top_logprobs[0].token
    ids = demo.post("/../tokenize", body={"prompt": first.token}, cast_to=object)["tokens"]
    assert len(ids) == 1
    got = ask("Tell me of a fox.", demo, logprobs=True, logit_bias={str(ids[0]): -100}, **options)
    assert got.choices[0].logprobs.content[0].token != first.token


def test_logprobs():
    for stream in (False, True):
        got = ask("Tell me of a fox.", demo, model="demo", logprobs=True, top_logprobs=3, max_tokens=8, stream=stream)
        choices = [c for chunk in got for c in chunk.choices] if stream else got.choices
        tokens = [t for c in choices if c.logprobs for t in c.logprobs.content]
        content = "".join((c.delta if stream else c.message).content or "" for c in choices)
        assert bytes(b for t in tokens for b in t.bytes).decode().strip() == content.strip() != ""
        for t in tokens:
            assert len(t.top_logprobs) == 3 and t.logprob <= 0
            assert sum(math.exp(top.logprob) for top in t.top_logprobs) <= 1.0001


def test_cached():
    """A conversation that comes back is read from where it ended."""
    first = user("Tell me a long story of a fox and a hen, and of what became of them.")
    one = demo.chat.completions.create(model="demo", messages=first, max_tokens=16)
    said = {"role": "assistant", "content": one.choices[0].message.content}
    two = demo.chat.completions.create(model="demo", messages=[*first, said, *user("Go on.")], max_tokens=4)
    assert two.usage.prompt_tokens_details.cached_tokens >= one.usage.prompt_tokens


def test_thought():
    text = ">\nA greeting.\n</think>\n\nHello!"
    got = ask(served.write(text), reasoning_effort="low")
    assert 0 < got.usage.completion_tokens_details.reasoning_tokens < got.usage.completion_tokens
    got = got.choices[0].message
    assert got.content == "Hello!" and got.reasoning_content.strip() == "A greeting."
    deltas = [c.choices[0].delta for c in ask(served.write(text), reasoning_effort="high", stream=True)]
    assert "".join(d.content or "" for d in deltas) == "Hello!"
    assert "".join(getattr(d, "reasoning_content", None) or "" for d in deltas).strip() == "A greeting."


def test_parse():
    got = demo.chat.completions.parse(model="demo", messages=user("A fox, please."), response_format=Animal, max_tokens=200)
    animal = got.choices[0].message.parsed
    assert isinstance(animal, Animal) and 0 <= animal.legs <= 8 and animal.kind in ("bird", "fish", "fox")
    with demo.chat.completions.stream(model="demo", messages=user("A bird."), response_format=Animal, max_tokens=200) as stream:
        final = stream.get_final_completion().choices[0].message
    assert isinstance(final.parsed, Animal) and Animal.model_validate_json(final.content) == final.parsed


def test_json_object():
    got = ask("An object, please.", response_format={"type": "json_object"})
    assert json.loads(got.choices[0].message.content) == {}
    got = ask("Any.", demo, model="demo", response_format={"type": "json_object"}, max_tokens=3)
    assert got.choices[0].message.content.lstrip().startswith("{")


def test_tool():
    got = ask("What is the weather of the next 3 days?", tools=[WEATHER])
    call = got.choices[0].message.tool_calls[0]
    assert got.choices[0].finish_reason == "tool_calls" and got.choices[0].message.content is None
    assert call.function.name == "Weather" and call.id and call.type == "function"
    assert json.loads(call.function.arguments) == {"city": "What is the weather of the next 3 days?", "days": 3}


def test_tool_parse():
    got = double.chat.completions.parse(model="double", messages=user("Oslo, 2 days"), tools=[WEATHER])
    assert got.choices[0].message.tool_calls[0].function.parsed_arguments == Weather(city="Oslo, 2 days", days=2)


@pytest.mark.parametrize("choice", ["auto", "required", {"type": "function", "function": {"name": "Weather"}}])
def test_tool_stream(choice):
    with double.chat.completions.stream(model="double", messages=user("Oslo, 2 days"), tools=[WEATHER], tool_choice=choice) as stream:
        kinds = {event.type for event in stream}
        call = stream.get_final_completion().choices[0].message.tool_calls[0]
    assert call.function.parsed_arguments == Weather(city="Oslo, 2 days", days=2) and call.id
    assert "tool_calls.function.arguments.delta" in kinds and "tool_calls.function.arguments.done" in kinds


def test_tool_choice():
    clock = {"type": "function", "function": {"name": "clock"}}
    got = ask("Oslo", tools=[WEATHER, CLOCK], tool_choice=clock)
    assert [(c.function.name, c.function.arguments) for c in got.choices[0].message.tool_calls] == [("clock", "{}")]
    got = ask("Oslo", tools=[WEATHER, CLOCK], tool_choice="none")
    assert got.choices[0].message.tool_calls is None and got.choices[0].message.content == "You said: Oslo"
    made = ask("A day.", demo, model="demo", tools=[CLOCK], tool_choice="required", max_tokens=100)
    assert made.choices[0].message.tool_calls[0].function.name == "clock" and made.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("parallel", [True, False])
def test_parallel(parallel):
    calls = '[{"name":"clock","arguments":{}},{"name":"Weather","arguments":{"city":"Oslo","days":1}}]'
    message = served.write(f" ```json\n{calls}\n```")
    names = ["clock", "Weather"][: 2 if parallel else 1]
    got = ask(message, tools=[WEATHER, CLOCK], parallel_tool_calls=parallel)
    assert [c.function.name for c in got.choices[0].message.tool_calls] == names
    indices = {}
    for chunk in ask(message, tools=[WEATHER, CLOCK], parallel_tool_calls=parallel, stream=True):
        for call in chunk.choices[0].delta.tool_calls or []:
            indices.setdefault(call.index, call.function.name)
    assert indices == dict(enumerate(names))


def test_tool_result():
    messages = user("Weather?")
    answer = double.chat.completions.create(model="double", messages=messages, tools=[WEATHER]).choices[0].message
    messages += [answer, {"role": "tool", "tool_call_id": answer.tool_calls[0].id, "content": "21 degrees"}]
    got = double.chat.completions.create(model="double", messages=messages, tools=[WEATHER])
    assert got.choices[0].message.content == "The tool says: 21 degrees"
    shown = double.chat.completions.create(model="double", messages=[*messages, *user("show")], tools=[WEATHER])
    prompt = json.loads(shown.choices[0].message.content)
    assert 'Assistant: ```json\n{"name":"Weather","arguments":{"city":"Weather?","days":1}}\n```\n\nUser: Function output:\n21 degrees' in prompt
