"""Writes reference.json: made-up conversations, and what the chat template of transformers-rwkv makes of them; made-up
values, as Python writes them and as JSON; made-up answers, and the calls that the tool parser of vllm-rwkv finds in them.

    pip install jinja2 regex
    python reference.py rwkv_chat_template.jinja rwkv_tool_parser.py > reference.json

The template is temp/rwkv_chat_template.jinja of github.com/rwkv-rs/transformers-rwkv. tojson is the filter that
transformers gives to templates. The parser is vllm/tool_parsers/rwkv_tool_parser.py of github.com/rwkv-rs/vllm-rwkv at
3c9e87ad0. What it imports of vllm is replaced by empty classes here. Where a title stands in a text, that parser gives up
all calls if one is bad, which cannot be streamed. Such answers have one call only here.
"""
import importlib.util
import json
import random
import sys
import types

import jinja2

env = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
env.filters["tojson"] = lambda v, indent=None: json.dumps(v, ensure_ascii=False, indent=indent)
template = env.from_string(open(sys.argv[1], encoding="utf-8").read())
rng = random.Random(7)
words = ["Hello", "world", "为什么", "天空是蓝色的？", "です。", "naïve", "a\tb", "\"quoted\"", "back\\slash", "<tag>", "1.", "…", "line\nbreak", "{}",
         "User", "emoji 🌸", "你好。", "x = [1, 2]", "&amp;"]


def text(most=6):
    while True:
        t = " ".join(rng.choice(words) for _ in range(rng.randint(1, most)))
        if t == t.strip():
            return t


def value(depth=0):
    kinds = ["str", "int", "float", "bool", "null"] + (["list", "dict"] if depth < 3 else [])
    kind = rng.choice(kinds)
    if kind == "str":
        return text(3)
    if kind == "int":
        return rng.randint(-1000, 1000)
    if kind == "float":
        return rng.randint(-8, 8) / 8
    if kind == "bool":
        return rng.random() < 0.5
    if kind == "null":
        return None
    if kind == "list":
        return [value(depth + 1) for _ in range(rng.randint(0, 3))]
    return {text(2): value(depth + 1) for _ in range(rng.randint(0, 3))}


def tool(i):
    f = {"name": f"tool_{i}", "parameters": {"type": "object", "properties": {f"p{k}": {"type": "string", "default": value()} for k in range(rng.randint(0, 3))}}}
    if rng.random() < 0.8:
        f["description"] = text()
    return {"type": "function", "function": f}


def conversation(tools):
    m = []
    if rng.random() < 0.5:
        m.append({"role": "system", "content": text()})
    for _ in range(rng.randint(1, 4)):
        m.append({"role": "user", "content": text()})
        if tools and rng.random() < 0.6:
            calls = [{"id": f"c{k}", "type": "function", "function": {"name": rng.choice(tools)["function"]["name"], "arguments": {text(2): value()}}}
                     for k in range(rng.randint(1, 2))]
            m.append({"role": "assistant", "content": text() if rng.random() < 0.5 else None, "tool_calls": calls})
            for c in calls:
                m.append({"role": "tool", "tool_call_id": c["id"], "content": json.dumps(value()) if rng.random() < 0.7 else text()})
        m.append({"role": "assistant", "content": text()})
    m.append({"role": "user", "content": text()})
    return m


def parsed(content):
    try:
        return json.loads(content)
    except json.JSONDecodeError:
        return content


cases = []
for name in ["g1", "bot", "g1-markdown"]:
    for think in ["free", "fast"]:
        for _ in range(12):
            tools = [tool(i) for i in range(rng.randint(1, 3))] if name == "g1-markdown" and rng.random() < 0.8 else []
            messages = conversation(tools)
            shown = [dict(m, rwkv_json_content=parsed(m["content"])) if m["role"] == "tool" else m for m in messages]
            prompt = template.render(messages=shown, tools=tools, add_generation_prompt=True,
                                     rwkv_prompt_template={"g1": "assistant", "bot": "bot", "g1-markdown": "function_calling"}[name],
                                     rwkv_generation_prompt="fake_think" if think == "fast" else "open_think")
            for m in messages:  # clients send arguments as text
                for c in m.get("tool_calls", []):
                    c["function"]["arguments"] = json.dumps(c["function"]["arguments"], ensure_ascii=rng.random() < 0.5)
            cases.append({"template": name, "think": think, "messages": messages, "tools": tools, "prompt": prompt})
literals = []
for _ in range(60):
    v = {text(2): value() for _ in range(rng.randint(1, 4))}
    literals.append({"python": repr(v) if rng.random() < 0.8 else ascii(v), "json": json.dumps(v, ensure_ascii=False, separators=(",", ":"))})


class Parser:
    def __init__(self, tokenizer, tools=None):
        self.tools = tools


class Stub(types.ModuleType):
    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "ToolParser":
            return Parser
        return type(name, (), {"__init__": lambda self, **fields: self.__dict__.update(fields), "__class_getitem__": lambda item: item})


for name in ["openai.types.responses", "vllm.entrypoints.chat_utils", "vllm.entrypoints.openai.chat_completion.protocol",
             "vllm.entrypoints.openai.engine.protocol", "vllm.entrypoints.openai.responses.protocol", "vllm.tokenizers",
             "vllm.tool_parsers.abstract_tool_parser", "vllm.tool_parsers.utils"]:
    parts = name.split(".")
    for n in range(1, len(parts) + 1):
        sys.modules.setdefault(".".join(parts[:n]), Stub(".".join(parts[:n])))
spec = importlib.util.spec_from_file_location("rwkv_tool_parser", sys.argv[2])
peer = importlib.util.module_from_spec(spec)
spec.loader.exec_module(peer)
tools = [types.SimpleNamespace(name="now"), types.SimpleNamespace(name="get_weather")]


def calling(titled):
    call = {"name": rng.choice(["now", "get_weather", "get_weather", "other"]), "arguments": {f"a{i}": value() for i in range(rng.randrange(3))}}
    if rng.random() < 0.15:
        call["arguments"] = json.dumps(call["arguments"])
    elif rng.random() < 0.05:
        call["arguments"] = [1]
    if rng.random() < 0.2:
        call = dict(reversed(call.items()))
    if rng.random() < 0.2:
        call["id"] = "x"
    if rng.random() < 0.05:
        call.popitem()
    written = json.dumps(call, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 2]))
    if rng.random() < 0.08:
        written = written[:rng.randrange(len(written))]
    if titled:
        return "**Tool Call:**" + rng.choice(["\n", " ", ""]) + "```json" + rng.choice(["\n", ""]) + written + rng.choice(["\n", ""]) + "```"
    kind = rng.random()
    if kind < 0.5:
        return "```json\n" + written + "\n```"
    if kind < 0.8:
        return "<tool_call>\n" + (repr(call) if rng.random() < 0.7 else json.dumps(call)) + "\n"
    return rng.choice(["```bash\nls\n```", '```json\n{"x": 1}\n```', "some text", "Tool", "**b**", "`x`"])


answers = []
for i in range(120):
    titled = i % 3 == 0
    answer = rng.choice(["", "Text. ", "\n"]) + rng.choice(["\n", "\n\n", " x "]).join(calling(titled) for _ in range(1 if titled else rng.randint(1, 3)))
    answer += rng.choice(["", "\n", "\nDone."])
    found = peer.RWKVToolParser(None, tools).extract_tool_calls(answer, None)
    answers.append({"text": answer, "calls": [{"name": c.function.name, "arguments": c.function.arguments} for c in found.tool_calls]})
lines = {name: ",\n".join(json.dumps(c, ensure_ascii=False) for c in items) for name, items in [("prompts", cases), ("literals", literals), ("answers", answers)]}
print(f'{{"prompts": [\n{lines["prompts"]}\n],\n"literals": [\n{lines["literals"]}\n],\n"answers": [\n{lines["answers"]}\n]}}')
