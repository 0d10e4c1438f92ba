"""Anthropic's client for Python."""

import asyncio
import json
from typing import Literal

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic
from pydantic import BaseModel

import served

demo = Anthropic(base_url=served.DEMO, api_key="none", max_retries=0)
double = Anthropic(base_url=served.DOUBLE, api_key=served.KEY, max_retries=0)

WEATHER = {
    "name": "weather",
    "description": "Tells the weather.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city", "days"]},
}


def user(content):
    return [{"role": "user", "content": content}]


def ask(content, client=double, **options):
    return client.messages.create(**{"model": "double", "max_tokens": 500, "messages": user(content), **options})


def text(message):
    return "".join(block.text for block in message.content if block.type == "text")


def test_message():
    got = ask(served.write(" Hello."))
    assert (got.type, got.role, got.model, got.stop_reason, got.stop_sequence) == ("message", "assistant", "double", "end_turn", None)
    assert [b.type for b in got.content] == ["text"] and text(got) == "Hello."
    assert got.usage.input_tokens > 0 and got.usage.output_tokens > 0 and got._request_id.startswith("req_")


def test_prompt():
    system = [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}]
    messages = [*user([{"type": "text", "text": "Hi"}]), {"role": "assistant", "content": "Hello."}, *user("show")]
    prompt = json.loads(text(ask("", system=system, messages=messages)))
    assert prompt == "System: Be kind.\n\nUser: Hi\n\nAssistant: Hello.\n\nUser: show\n\nAssistant:"
    begun = ask("", messages=[*user(served.write(" two")), {"role": "assistant", "content": "one"}])
    assert text(begun).strip() == "two"


def test_ends():
    got = ask(served.write(" one two three"), max_tokens=2)
    assert (text(got), got.stop_reason, got.usage.output_tokens) == ("one two", "max_tokens", 2)
    got = ask(served.write(" one two three"), stop_sequences=[" three"])
    assert (text(got), got.stop_reason, got.stop_sequence) == ("one two", "stop_sequence", " three")


def test_stream():
    with double.messages.stream(model="double", max_tokens=500, messages=user(served.write(" One two three."))) as stream:
        texts = list(stream.text_stream)
        final = stream.get_final_message()
    assert "".join(texts) == text(final) == "One two three." and len(texts) > 2
    assert final.stop_reason == "end_turn" and final.usage.output_tokens > 0 and final.usage.input_tokens > 0
    kinds = [event.type for event in ask(served.write(" One."), stream=True)]
    assert kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"] and "content_block_delta" in kinds


def test_demo():
    got = ask("Tell me of a fox.", demo, model="demo", max_tokens=12, extra_body={"temperature": 1, "top_p": 0.9, "top_k": 50})
    assert 0 < got.usage.output_tokens <= 12 and got.model == "demo"
    assert got.stop_reason == ("max_tokens" if got.usage.output_tokens == 12 else "end_turn")
    with demo.messages.stream(model="demo", max_tokens=12, messages=user("Tell me of a hen.")) as stream:
        assert "".join(stream.text_stream) == text(stream.get_final_message())


def test_cached():
    first = user("Tell me a long story of a fox and a hen, and of what became of the two.")
    one = demo.messages.create(model="demo", max_tokens=8, messages=first)
    two = demo.messages.create(model="demo", max_tokens=2, messages=[*first, {"role": "assistant", "content": text(one)}, *user("Go on.")])
    assert two.usage.cache_read_input_tokens >= one.usage.input_tokens + one.usage.cache_read_input_tokens


def test_thinking():
    message = served.write(">\nA greeting.\n</think>\n\nHello!")
    thinking = {"type": "enabled", "budget_tokens": 1024}
    got = ask(message, max_tokens=2000, thinking=thinking)
    assert [b.type for b in got.content] == ["thinking", "text"] and text(got) == "Hello!"
    assert got.content[0].thinking.strip() == "A greeting."
    with double.messages.stream(model="double", max_tokens=2000, messages=user(message), thinking=thinking) as stream:
        kinds = {event.type for event in stream}
        assert [b.type for b in stream.get_final_message().content] == ["thinking", "text"]
    assert {"thinking", "text"} <= kinds
    back = [*user("Hi"), {"role": "assistant", "content": got.content}, *user("show")]
    assert json.loads(text(ask("", messages=back))).endswith("Assistant: Hello!\n\nUser: show\n\nAssistant:")
    plain = ask("show", thinking={"type": "disabled"})
    assert json.loads(text(plain)).endswith("<think></think")


class Animal(BaseModel):
    """Without bounds of texts and numbers, which the client takes out of schemas and checks itself."""

    tame: bool
    kind: Literal["bird", "fish", "fox"]


def test_parse():
    got = demo.messages.parse(model="demo", max_tokens=200, messages=user("A fox, please."), output_format=Animal)
    assert isinstance(got.parsed_output, Animal)
    with demo.messages.stream(model="demo", max_tokens=200, messages=user("A bird."), output_format=Animal) as stream:
        assert isinstance(stream.get_final_message().parsed_output, Animal)
    shown = ask("show", max_tokens=2000, thinking={"type": "adaptive"}, output_config={"effort": "low"})
    assert "show (think a bit)" in text(shown)


@pytest.mark.parametrize("choice", [{"type": "auto"}, {"type": "any"}, {"type": "tool", "name": "weather"}])
def test_tools(choice):
    got = ask("Oslo, 2 days", tools=[WEATHER], tool_choice=choice)
    call = got.content[-1]
    assert got.stop_reason == "tool_use" and (call.type, call.name, call.input) == ("tool_use", "weather", {"city": "Oslo, 2 days", "days": 2})
    with double.messages.stream(model="double", max_tokens=500, messages=user("Oslo, 2 days"), tools=[WEATHER], tool_choice=choice) as stream:
        partial = "".join(e.partial_json for e in stream if e.type == "input_json")
        final = stream.get_final_message()
    assert json.loads(partial) == final.content[-1].input == call.input
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "rain"}]}
    messages = [*user("Oslo, 2 days"), {"role": "assistant", "content": got.content}, *user([result])]
    assert text(ask("", messages=messages, tools=[WEATHER])) == "The tool says: rain"


def test_parallel_tools():
    call = '{"name":"weather","arguments":{"city":"a","days":1}}'
    for single in (False, True):
        got = ask(served.write(f" ```json\n[{call},{call}]\n```"), tools=[WEATHER], tool_choice={"type": "auto", "disable_parallel_tool_use": single})
        assert [b.type for b in got.content] == ["tool_use"] * (1 if single else 2)
    got = ask("Oslo", tools=[WEATHER], tool_choice={"type": "none"})
    assert text(got) == "You said: Oslo" and got.stop_reason == "end_turn"


def test_count_tokens():
    options = {"model": "double", "messages": user("How long is this?"), "system": "Be kind.", "tools": [WEATHER]}
    counted = double.messages.count_tokens(**options).input_tokens
    assert counted == double.messages.create(max_tokens=1, **options).usage.input_tokens > 0


@pytest.mark.parametrize("options, error, part", [
    ({"extra_body": {"temperature": -1}}, anthropic.BadRequestError, "temperature"),
    ({"max_tokens": 0}, anthropic.BadRequestError, "max_tokens"),
    ({"messages": []}, anthropic.BadRequestError, "messages"),
    ({"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "http://a/b"}}]}]}, anthropic.BadRequestError,
     "messages[0].content[0].type"),
    ({"model": "other"}, anthropic.NotFoundError, "other"),
    ({"messages": user("busy 9 anthropic-python")}, anthropic.RateLimitError, "try again"),
])
def test_errors(options, error, part):
    for stream in (False, True):
        with pytest.raises(error) as e:
            ask("Hi", stream=stream, **options)
        assert part in e.value.body["error"]["message"] and e.value.body["type"] == "error"


def test_keys():
    with pytest.raises(anthropic.AuthenticationError):
        ask("Hi", Anthropic(base_url=served.DOUBLE, api_key="wrong", max_retries=0))
    bearer = Anthropic(base_url=served.DOUBLE, auth_token=served.KEY, api_key=None, max_retries=0)
    assert text(ask("Hi", bearer)) == "You said: Hi"


def test_retries():
    before = served.requests()[0]
    assert text(ask("busy 2 anthropic-python-again", double.with_options(max_retries=2))) == "You said: busy 2 anthropic-python-again"
    assert served.requests()[0] - before == 3


def test_leaving():
    with double.messages.stream(model="double", max_tokens=500, messages=user('hang "one two"')) as stream:
        assert next(iter(stream.text_stream)).strip() in ("one", "one two")
        assert served.running(served.DOUBLE) == 1
    with pytest.raises(anthropic.APITimeoutError):
        ask('hang "one"', double.with_options(timeout=1))
    served.eventually(lambda: served.running(served.DOUBLE) == 0)


def test_together():
    async def answers():
        async with AsyncAnthropic(base_url=served.DOUBLE, api_key=served.KEY, max_retries=0) as client:
            calls = [client.messages.create(model="double", max_tokens=99, messages=user(served.write(f" {i}"))) for i in range(8)]
            return [text(got) for got in await asyncio.gather(*calls)]

    assert asyncio.run(answers()) == [str(i) for i in range(8)]
