"""OpenAI's client for Python: responses, which the server remembers."""

import json

import openai
import pytest

import served
from test_chat import Animal, demo, double

CLOCK = {"type": "function", "name": "clock", "parameters": {"type": "object", "properties": {"place": {"type": "string"}}}}


def respond(said, client=double, **options):
    return client.responses.create(model=options.pop("model", "double"), input=said, **options)


def test_response():
    got = respond(served.write(" Hello."), instructions="Be kind.", metadata={"a": "b"})
    assert got.output_text == "Hello." and got.status == "completed" and got.metadata == {"a": "b"} and got.error is None
    assert got.usage.total_tokens == got.usage.input_tokens + got.usage.output_tokens > 0
    assert [item.type for item in got.output] == ["message"] and got.instructions == "Be kind."
    shown = respond([{"role": "user", "content": [{"type": "input_text", "text": "show"}]}], instructions="Be kind.")
    assert json.loads(shown.output_text) == "System: Be kind.\n\nUser: show\n\nAssistant:"


def test_previous():
    """A response goes on from an earlier one, until that is deleted."""
    first = respond(served.write(" Hello."))
    second = respond("Who are you?", previous_response_id=first.id)
    third = respond("show", previous_response_id=second.id)
    prompt = json.loads(third.output_text)
    assert prompt.endswith("Assistant: Hello.\n\nUser: Who are you?\n\nAssistant: You said: Who are you?\n\nUser: show\n\nAssistant:")
    assert third.previous_response_id == second.id
    kept = double.responses.retrieve(second.id)
    assert kept.output_text == second.output_text and kept.created_at == second.created_at
    double.responses.delete(second.id)
    for gone in (lambda: double.responses.retrieve(second.id), lambda: respond("x", previous_response_id=second.id),
                 lambda: double.responses.delete(second.id)):
        with pytest.raises(openai.NotFoundError):
            gone()


def test_previous_costs_new_tokens():
    first = respond("Tell me a story of a fox and a hen who live in a house.", demo, model="demo", max_output_tokens=12)
    second = respond("Go on.", demo, model="demo", max_output_tokens=4, previous_response_id=first.id)
    assert second.usage.input_tokens_details.cached_tokens >= first.usage.input_tokens


def test_not_stored():
    got = respond(served.write(" Hello."), store=False)
    with pytest.raises(openai.NotFoundError):
        double.responses.retrieve(got.id)


def test_stream():
    with double.responses.stream(model="double", input=served.write(" One two three.")) as stream:
        events = list(stream)
        final = stream.get_final_response()
    kinds = [e.type for e in events]
    assert kinds[:4] == ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]
    assert kinds[-4:] == ["response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed"]
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == final.output_text == "One two three."
    assert [e.sequence_number for e in events] == list(range(len(events)))
    assert double.responses.retrieve(final.id).output_text == "One two three."


def test_raw_stream():
    events = list(respond(served.write(" One two."), stream=True))
    assert events[-1].type == "response.completed" and events[-1].response.output_text == "One two."


def test_thought():
    text = served.write(">\nA greeting.\n</think>\n\nHello!")
    got = respond(text, reasoning={"effort": "low"})
    assert [item.type for item in got.output] == ["reasoning", "message"] and got.output_text == "Hello!"
    assert got.output[0].content[0].text.strip() == "A greeting." and got.usage.output_tokens_details.reasoning_tokens > 0
    kinds = [e.type for e in respond(text, reasoning={"effort": "low"}, stream=True)]
    assert "response.reasoning_text.delta" in kinds and "response.output_text.delta" in kinds


def test_logprobs():
    """Tokens of the text are told of with what is likely in their place, whole and in events."""
    options = dict(include=["message.output_text.logprobs"], top_logprobs=3, max_output_tokens=8)
    got = respond("Tell me of a fox.", demo, model="demo", temperature=0, **options)
    tokens = got.output[0].content[0].logprobs
    assert bytes(b for t in tokens for b in t.bytes).decode().strip() == got.output_text.strip() != "" and got.top_logprobs == 3
    for t in tokens:
        assert len(t.top_logprobs) == 3 and t.logprob == t.top_logprobs[0].logprob <= 0
    events = list(respond("Tell me of a fox.", demo, model="demo", temperature=0, stream=True, **options))
    told = [t for e in events if e.type == "response.output_text.delta" for t in e.logprobs]
    done = [t for e in events if e.type == "response.output_text.done" for t in e.logprobs]
    assert [t.token for t in told] == [t.token for t in done] == [t.token for t in tokens]
    with pytest.raises(openai.BadRequestError, match="top_logprobs"):
        respond("x", top_logprobs=3)


def test_incomplete():
    got = respond(served.write(" one two three"), max_output_tokens=2)
    assert (got.status, got.incomplete_details.reason, got.output_text) == ("incomplete", "max_output_tokens", "one two")


def test_parse():
    got = demo.responses.parse(model="demo", input="A fox.", text_format=Animal, max_output_tokens=200)
    assert isinstance(got.output_parsed, Animal)
    with demo.responses.stream(model="demo", input="A fox.", text_format=Animal, max_output_tokens=200) as stream:
        assert isinstance(stream.get_final_response().output_parsed, Animal)
    got = respond("An object.", text={"format": {"type": "json_object"}})
    assert json.loads(got.output_text) == {}


@pytest.mark.parametrize("choice", ["auto", "required", {"type": "function", "name": "clock"}])
def test_tool(choice):
    got = respond("Oslo", tools=[CLOCK], tool_choice=choice)
    call = got.output[0]
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "clock", {"place": "Oslo"})
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "noon"}
    assert respond([output], tools=[CLOCK], previous_response_id=got.id).output_text == "The tool says: noon"
    whole = [{"role": "user", "content": "Oslo"}, *got.output, output]
    assert respond(whole, tools=[CLOCK], store=False).output_text == "The tool says: noon"


def test_tool_stream():
    with double.responses.stream(model="double", input="Oslo", tools=[CLOCK], parallel_tool_calls=False) as stream:
        deltas = "".join(e.delta for e in stream if e.type == "response.function_call_arguments.delta")
        call = stream.get_final_response().output[0]
    assert json.loads(deltas) == json.loads(call.arguments) == {"place": "Oslo"}


def test_input_tokens():
    got = double.responses.input_tokens.count(model="double", input="How long is this?")
    assert got.input_tokens == respond("How long is this?").usage.input_tokens > 0


@pytest.mark.parametrize("options, param", [
    ({"input": []}, "input"),
    ({"temperature": 9999}, "temperature"),
    ({"background": True}, "background"),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
    ({"text": {"format": {"type": "poem"}}}, "text.format.type"),
])
def test_errors(options, param):
    with pytest.raises(openai.BadRequestError) as e:
        double.responses.create(**{"model": "double", "input": "Hi", **options})
    assert e.value.param == param
