"""lm-evaluation-harness measures the demo model through the server. Its figures are those of the model's logits."""

import json
import math
import os
import pathlib
import re
import subprocess
import sys
import urllib.request

import pytest
from reference import encode, greedy, loglikelihood, until

TASKS = pathlib.Path(__file__).parent / "tasks"
DEMO = os.environ["RWKV_DEMO"]
NEAR = 1e-4
ROUNDING = 2e-7  # of sums of numbers of single precision, which counts above 500
END = 0  # the id of a text's end, which stands before every text


def documents(task):
    """Returns the documents of a task."""
    return [json.loads(line) for line in (TASKS / f"{task}.jsonl").read_text().splitlines()]


def harness(folder, model, tasks, path="completions", **arguments):
    """Runs the harness. Returns its figures and its samples, by task."""
    batch = arguments.pop("batch_size", 1)
    arguments = {"model": "demo", "base_url": f"{DEMO}/v1/{path}", **arguments}
    command = [sys.executable, "-m", "lm_eval", "--model", model, "--include_path", ".", "--tasks", tasks]
    command += ["--model_args", ",".join(f"{name}={value}" for name, value in arguments.items())]
    command += ["--batch_size", str(batch), "--log_samples", "--output_path", str(folder)]
    if path == "chat/completions":
        command.append("--apply_chat_template")
    home = folder / "home"
    offline = {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "OPENAI_API_KEY": "none"}
    done = subprocess.run(command, cwd=TASKS, env={**os.environ, **offline}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    (figures,) = folder.rglob("results_*.json")
    samples = {}
    for file in folder.rglob("samples_*.jsonl"):
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        samples[re.match(r"samples_(\w+)_\d{4}-", file.name)[1]] = sorted(lines, key=lambda s: s["doc_id"])
    return json.loads(figures.read_text())["results"], samples


# One request after the other, and many at once, each of several texts.
RUNS = {"single": {}, "together": {"num_concurrent": 8, "batch_size": 3, "max_length": 64}}


@pytest.fixture(scope="module", params=RUNS)
def run(request, tmp_path_factory):
    """Returns the settings of a run, its figures and its samples."""
    settings = RUNS[request.param]
    return settings, *harness(tmp_path_factory.mktemp("run"), "local-completions", "choice,rolling,stories", **settings)


def pair(context, continuation):
    """Returns the ids of a context and of what follows it, as the harness divides them: white space goes to what follows."""
    if not context:
        return (END,), encode(continuation)
    stripped = context.rstrip()
    before = encode(stripped)
    return before, encode(context + continuation)[len(before) :]


def test_choice(run):
    _, figures, samples = run
    right = right_by_length = 0
    for document, sample in zip(documents("choice"), samples["choice"], strict=True):
        wanted = [loglikelihood(*pair(document["text"], " " + choice)) for choice in document["choices"]]
        for (value, likeliest), ((got, greedy_),) in zip(wanted, sample["resps"], strict=True):
            assert float(got) == pytest.approx(value, abs=NEAR)
            assert greedy_ == str(likeliest)
        values = [value for value, _ in wanted]
        by_length = [value / len(choice) for value, choice in zip(values, document["choices"])]
        acc = values.index(max(values)) == document["gold"]
        norm = by_length.index(max(by_length)) == document["gold"]
        assert (sample["acc"], sample["acc_norm"]) == (acc, norm)
        right, right_by_length = right + acc, right_by_length + norm
    n = len(documents("choice"))
    assert figures["choice"]["acc,none"] == pytest.approx(right / n, abs=NEAR)
    assert figures["choice"]["acc_norm,none"] == pytest.approx(right_by_length / n, abs=NEAR)
    assert 0 < right < n  # otherwise the figure says nothing


def measured(task, file):
    """Returns what `rwkv-gpu eval` finds of documents."""
    command = ["eval", str(TASKS / file), "--task", task, "--device", "cpu", "--json", "--quiet"]
    done = subprocess.run([os.environ["RWKV_BINARY"], *command], check=True, capture_output=True)
    return json.loads(done.stdout)


def test_eval(run):
    _, figures, _ = run
    got, wanted = measured("choice", "choice.jsonl"), figures["choice"]
    for name in "acc", "acc_norm":
        assert got[name] == pytest.approx(wanted[f"{name},none"], abs=NEAR)
        assert got["stderr"][name] == pytest.approx(wanted[f"{name}_stderr,none"], abs=NEAR)
    if run[0].get("max_length") is None:  # texts in one piece
        bits = figures["rolling"]["bits_per_byte,none"]
        assert measured("text", "rolling.jsonl")["bits_per_byte"] == pytest.approx(bits, abs=NEAR)


def windows(ids, length):
    """Returns contexts and what follows them, of so many ids together at the most, that divide a text."""
    first = min(length, len(ids))
    yield (END,), ids[:first]
    for start in range(first, len(ids), length):
        end = min(start + length, len(ids))
        yield ids[end - length - 1 : start], ids[start:end]


def test_rolling(run):
    settings, figures, samples = run
    length = settings.get("max_length", 2048) - 2
    total = words = size = 0
    for document, sample in zip(documents("rolling"), samples["rolling"], strict=True):
        text = document["text"]
        value = sum(loglikelihood(*window)[0] for window in windows(encode(text), length))
        assert float(sample["resps"][0][0]) == pytest.approx(value, abs=NEAR, rel=ROUNDING)
        total, words, size = total + value, words + len(re.split(r"\s+", text)), size + len(text.encode())
    assert len(encode(documents("rolling")[0]["text"])) > 64  # so that a run has several windows
    got = figures["rolling"]
    assert got["word_perplexity,none"] == pytest.approx(math.exp(-total / words), rel=NEAR)
    assert got["byte_perplexity,none"] == pytest.approx(math.exp(-total / size), rel=NEAR)
    assert got["bits_per_byte,none"] == pytest.approx(-total / size / math.log(2), abs=NEAR)


def test_stories(run):
    _, _, samples = run
    stopped = 0
    for document, sample in zip(documents("stories"), samples["stories"], strict=True):
        settings = sample["arguments"]["gen_args_0"]["arg_1"]
        got = sample["resps"][0][0]
        stops = settings["until"]
        whole = greedy(encode(document["text"]), settings["max_gen_toks"], got, lambda t: until(t, stops) != t)
        assert got == until(whole, stops)
        stopped += got != whole
    assert 0 < stopped < len(documents("stories"))  # some end at a stop string, and some by their length


def test_chats(tmp_path):
    _, samples = harness(tmp_path, "local-chat-completions", "chats", path="chat/completions")
    for document, sample in zip(documents("chats"), samples["chats"], strict=True):
        body = json.dumps({"messages": [{"role": "user", "content": document["text"]}]}).encode()
        request = urllib.request.Request(f"{DEMO}/v1/chat/completions/render", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            prompt = json.load(answer)
        settings = sample["arguments"]["gen_args_0"]["arg_1"]
        got = sample["resps"][0][0]

        def content(text):
            """Returns a text without what ends it. The harness's stop strings do not count before it begins."""
            return until(until(text, prompt["stop"]).lstrip(), settings["until"])

        text = greedy(prompt["tokens"], settings["max_gen_toks"], " " + got, lambda t: content(t) != t.lstrip())
        assert got == content(text).rstrip("\n")
