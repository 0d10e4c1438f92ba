"""OpenAI's client for Python: models, completions, embeddings, errors, retries and readers who leave."""

import asyncio
import math

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

import served
from test_chat import ask, demo, double, user


def test_models():
    listed = list(demo.models.list())
    assert [m.id for m in listed] == ["demo"] and listed[0].object == "model" and listed[0].created > 0
    assert demo.models.retrieve("demo").id == "demo"
    with pytest.raises(openai.NotFoundError) as e:
        demo.models.retrieve("other")
    assert e.value.code == "model_not_found" and e.value.param == "id"


def complete(prompt, client=double, **options):
    return client.completions.create(model=options.pop("model", "double"), prompt=prompt, **options)


def test_completion():
    got = complete(served.write(" one two"))
    assert (got.choices[0].text, got.choices[0].finish_reason) == (" one two", "stop") and got.object == "text_completion"
    got = complete(served.write(" one two three"), max_tokens=2, echo=True)
    assert (got.choices[0].text, got.choices[0].finish_reason) == (served.write(" one two three") + " one two", "length")
    assert complete(served.write(" one two three"), stop=[" two"]).choices[0].text == " one"
    chunks = list(complete(served.write(" one two"), stream=True, stream_options={"include_usage": True}))
    assert "".join(c.text for chunk in chunks for c in chunk.choices) == " one two" and chunks[-1].usage.completion_tokens > 0


def test_echo():
    """The log-probabilities of a prompt are those of its tokens, and the first token has none."""
    got = complete("Once upon a time there was a", demo, model="demo", echo=True, logprobs=2, max_tokens=1, temperature=0)
    found = got.choices[0].logprobs
    assert "".join(found.tokens) == got.choices[0].text
    assert found.text_offset == [len("".join(found.tokens[:i])) for i in range(len(found.tokens))]
    assert found.token_logprobs[0] is None and found.top_logprobs[0] is None
    for token, logprob, top in zip(found.tokens[1:], found.token_logprobs[1:], found.top_logprobs[1:], strict=True):
        assert top[token] == logprob <= max(top.values()) <= 0 and 2 <= len(top) <= 3
    assert found.token_logprobs[-1] == max(found.top_logprobs[-1].values())
    alone = complete("Once upon a time there was a", demo, model="demo", echo=True, logprobs=2, max_tokens=0)
    assert alone.choices[0].text == "Once upon a time there was a"
    for a, b in zip(alone.choices[0].logprobs.token_logprobs[1:], found.token_logprobs[1:]):
        assert math.isclose(a, b, abs_tol=1e-3)


def test_prompts():
    ids = demo.post("/../tokenize", body={"prompt": "The fox"}, cast_to=object)["tokens"]
    options = {"model": "demo", "max_tokens": 4, "temperature": 0}
    texts = complete(["The fox", "The hen"], demo, n=2, **options).choices
    assert [c.index for c in texts] == [0, 1, 2, 3] and texts[0].text == texts[1].text and texts[2].text == texts[3].text
    assert [c.text for c in complete([ids, ids], demo, **options).choices] == [texts[0].text] * 2
    assert complete(ids, demo, **options).choices[0].text == texts[0].text
    assert len(complete("The fox", demo, model="demo", n=1, best_of=3, max_tokens=4).choices) == 1


def test_embeddings():
    texts = ["The fox ran.", "A hen sat."]
    packed = demo.embeddings.create(model="demo", input=texts)  # which the client asks for as base64
    plain = demo.embeddings.create(model="demo", input=texts, encoding_format="float")
    assert [d.index for d in packed.data] == [0, 1] and len(packed.data[0].embedding) == 1024
    for a, b in zip(packed.data, plain.data, strict=True):
        assert all(math.isclose(x, y, abs_tol=1e-5) for x, y in zip(a.embedding, b.embedding, strict=True))
        assert math.isclose(sum(x * x for x in a.embedding), 1, abs_tol=1e-4)
    raw = demo.embeddings.with_raw_response.create(model="demo", input="The fox ran.", encoding_format="base64")
    assert isinstance(raw.http_response.json()["data"][0]["embedding"], str)
    short = demo.embeddings.create(model="demo", input="The fox ran.", dimensions=64)
    assert len(short.data[0].embedding) == 64 and short.usage.prompt_tokens == short.usage.total_tokens > 0
    assert packed.data[0].embedding != packed.data[1].embedding


@pytest.mark.parametrize("options, error, param", [
    ({"temperature": -1}, openai.BadRequestError, "temperature"),
    ({"messages": []}, openai.BadRequestError, "messages"),
    ({"messages": [{"role": "user", "content": 5}]}, openai.BadRequestError, "messages[0].content"),
    ({"model": "other"}, openai.NotFoundError, "model"),
    ({"max_tokens": "many"}, openai.BadRequestError, "max_tokens"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "thing"}}}}, openai.BadRequestError,
     "response_format.json_schema.schema"),
])
def test_errors(options, error, param):
    for stream in (False, True):
        with pytest.raises(error) as e:
            double.chat.completions.create(**{"model": "double", "messages": user("Hi"), "stream": stream, **options})
        assert e.value.param == param and param in e.value.message and e.value.type and e.value.request_id.startswith("req_")


def test_keys():
    for key in ("wrong", "key-of-tests2"):
        with pytest.raises(openai.AuthenticationError) as e:
            ask("Hi", OpenAI(base_url=served.DOUBLE + "/v1", api_key=key, max_retries=0))
        assert e.value.code == "invalid_api_key"


def test_retries():
    with pytest.raises(openai.RateLimitError) as e:
        ask("busy 1 openai-python-once")
    assert e.value.code == "queue_full" and int(e.value.response.headers["retry-after"]) >= 1
    before = served.requests()[0]
    got = ask("busy 2 openai-python-twice", double.with_options(max_retries=2))
    assert got.choices[0].message.content == "You said: busy 2 openai-python-twice" and served.requests()[0] - before == 3


def test_timeout():
    with pytest.raises(openai.APITimeoutError):
        ask(served.write("").replace("write", "hang"), double.with_options(timeout=1))
    served.eventually(lambda: served.running(served.DOUBLE) == 0)


def test_leaving():
    """A reader who leaves ends the answer: far fewer tokens are drawn than were asked for."""
    stream = ask('hang "one two"', stream=True)
    assert "one" in "".join(next(stream).choices[0].delta.content or "" for _ in range(2))
    stream.close()
    served.eventually(lambda: served.running(served.DOUBLE) == 0)
    drawn = served.metrics(served.DEMO)["rwkv_drawn_tokens_total"]
    stream = ask("A story.", demo, model="demo", stream=True, max_tokens=4096, extra_body={"logit_bias": {"0": -100}, "regex": "[a-z ]*"})
    next(stream)
    stream.close()
    served.eventually(lambda: served.running(served.DEMO) == 0)
    assert served.metrics(served.DEMO)["rwkv_drawn_tokens_total"] - drawn < 4000


def test_together():
    """Requests at once are all answered, and one that is cancelled leaves the others alone."""
    async def answers():
        async with AsyncOpenAI(base_url=served.DOUBLE + "/v1", api_key=served.KEY, max_retries=0) as client:
            calls = [client.chat.completions.create(model="double", messages=user(served.write(f" Answer {i}."))) for i in range(16)]
            hung = asyncio.create_task(client.chat.completions.create(model="double", messages=user('hang "one"')))
            texts = [got.choices[0].message.content for got in await asyncio.gather(*calls)]
            hung.cancel()
            with pytest.raises(asyncio.CancelledError):
                await hung
            return texts

    assert asyncio.run(answers()) == [f"Answer {i}." for i in range(16)]
    served.eventually(lambda: served.running(served.DOUBLE) == 0)


def test_raw():
    with double.chat.completions.with_streaming_response.create(model="double", messages=user(served.write(" Hi"))) as answer:
        assert answer.headers["content-type"] == "application/json" and answer.headers["x-request-id"].startswith("req_")
        assert answer.parse().choices[0].message.content == "Hi"
