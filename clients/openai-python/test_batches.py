"""OpenAI's client for Python: files and batches."""

import io
import json

import openai
import pytest
from openai import OpenAI

import served

demo = OpenAI(base_url=served.DEMO + "/v1", api_key="none", max_retries=0)

ENDED = ("completed", "failed", "expired", "cancelled")


def line(i, **body):
    return {"custom_id": f"i{i}", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": [{"role": "user", "content": f"Tell me of fox {i}."}], **body}}


def upload(*lines):
    text = "".join(json.dumps(x) + "\n" for x in lines)
    return demo.files.create(file=io.BytesIO(text.encode()), purpose="batch")


def create(file, **options):
    return demo.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", **options)


def ended(batch):
    """Returns the batch once it is over."""
    served.eventually(lambda: demo.batches.retrieve(batch.id).status in ENDED)
    return demo.batches.retrieve(batch.id)


def results(file):
    return [json.loads(text) for text in demo.files.content(file).text.splitlines()]


def test_batch():
    file = upload(*(line(i, max_tokens=4 + i) for i in range(8)), line(8, temperature=-1))
    assert file.object == "file" and file.purpose == "batch" and file.bytes > 0
    assert demo.files.retrieve(file.id) == file
    batch = create(file, metadata={"a": "b"})
    assert batch.object == "batch" and batch.input_file_id == file.id and batch.metadata == {"a": "b"}
    batch = ended(batch)
    counts = batch.request_counts
    assert (batch.status, counts.total, counts.completed, counts.failed) == ("completed", 9, 8, 1)
    for i, got in enumerate(results(batch.output_file_id)):
        assert got["custom_id"] == f"i{i}" and got["error"] is None and got["response"]["status_code"] == 200
        answer = openai.types.chat.ChatCompletion.model_validate(got["response"]["body"])
        assert answer.usage.completion_tokens <= 4 + i and answer.choices[0].message.content
    failures = results(batch.error_file_id)
    assert [x["custom_id"] for x in failures] == ["i8"] and failures[0]["response"]["body"]["error"]["param"] == "temperature"
    again = ended(create(file))
    texts = [[x["response"]["body"]["choices"][0]["message"]["content"] for x in results(b.output_file_id)] for b in (batch, again)]
    assert texts[0] == texts[1], "seeds follow from the custom_id"
    assert [b.id for b in demo.batches.list(limit=1)][:2] == [again.id, batch.id]
    assert batch.output_file_id in [f.id for f in demo.files.list(purpose="batch_output")]
    assert demo.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        demo.files.content(file.id)


def test_refused():
    failed = ended(create(upload(line(1), line(1))))
    assert failed.status == "failed" and failed.output_file_id is None
    assert failed.errors.data[0].code == "duplicate_custom_id" and failed.errors.data[0].line == 2
    with pytest.raises(openai.BadRequestError) as e:
        demo.files.create(file=io.BytesIO(b"x"), purpose="fine-tune")
    assert e.value.param == "purpose"
    with pytest.raises(openai.NotFoundError):
        demo.batches.create(input_file_id="file-none", endpoint="/v1/embeddings", completion_window="24h")
    with pytest.raises(openai.ConflictError):
        demo.batches.cancel(failed.id)


def test_cancel():
    batch = create(upload(*(line(i, max_tokens=4096, logit_bias={"0": -100}, regex="[a-z ]*") for i in range(64))))
    assert demo.batches.cancel(batch.id).status in ("cancelling", "cancelled")
    batch = ended(batch)
    assert batch.status == "cancelled" and batch.request_counts.failed > 32
    assert results(batch.error_file_id)[-1]["error"]["code"] == "batch_cancelled"
