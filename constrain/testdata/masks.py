"""Masks of llguidance, to compare the package's own with: prints JSON that TestLLGuidance reads.

    pip install llguidance==1.9.1
    python3 masks.py VOCABULARY > llguidance_NAME.json

VOCABULARY is a World vocabulary file. Each case is a grammar and texts that it allows. A text is cut into the longest tokens;
before each token the ids of llguidance's mask are counted and hashed; one alone stands as it is. Schemas are in its compact form, and of the part that
both read alike: see TestLLGuidance.
"""

import ast
import hashlib
import json
import sys

import llguidance

SCHEMAS = [
    ({}, ['{"a":[1,-2.5e3,"x\\n",true,null],"b":{}}', '"text, with é and 𝄞"', "[[],{}]", "false"]),
    ({"type": "string"}, ['"Once upon a time there was a \\"dog\\"."', '""']),
    ({"type": "integer"}, ["0", "-17", "123456"]),
    ({"type": "number"}, ["0.25", "-1e10", "12E-3"]),
    ({"type": ["boolean", "null"]}, ["true", "false", "null"]),
    ({"enum": ["red", "green", "blue"]}, ['"red"', '"green"', '"blue"']),
    ({"const": {"a": 1, "b": ["x", None]}}, ['{"a":1,"b":["x",null]}']),
    ({"type": "array", "items": {"type": "integer"}}, ["[]", "[1,20,-300]"]),
    ({"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 3}, ["[true,false]", "[true,true,false]"]),
    ({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False, "minItems": 2}, ['["a",1]']),
    ({"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "string"}}, ['[1,"a","b"]', "[]"]),
    (
        {
            "type": "object",
            "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string"}}},
            "required": ["name", "age"],
            "additionalProperties": False,
        },
        ['{"name":"Tom","age":7}', '{"name":"Lily and Ben","age":-1,"tags":["a","b c"]}'],
    ),
    (
        {"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "null"}, "c": {"type": "null"}}, "additionalProperties": False},
        ["{}", '{"a":null}', '{"b":null,"c":null}', '{"a":null,"c":null}'],
    ),
    (
        {
            "$ref": "#/$defs/node",
            "$defs": {
                "node": {
                    "type": "object",
                    "properties": {"v": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
                    "required": ["v", "next"],
                    "additionalProperties": False,
                }
            },
        },
        ['{"v":1,"next":{"v":2,"next":{"v":3,"next":null}}}'],
    ),
    (
        {
            "anyOf": [
                {"type": "object", "properties": {"kind": {"const": "cat"}, "lives": {"type": "integer"}}, "required": ["kind", "lives"], "additionalProperties": False},
                {"type": "object", "properties": {"kind": {"const": "dog"}, "name": {"type": "string"}}, "required": ["kind"], "additionalProperties": False},
            ]
        },
        ['{"kind":"cat","lives":9}', '{"kind":"dog"}', '{"kind":"dog","name":"Max"}'],
    ),
    (
        {"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"properties": {"b": {"type": "boolean"}}}], "properties": {"a": {}, "b": {}}, "additionalProperties": False},
        ['{"a":1}', '{"a":1,"b":true}'],
    ),
    ({"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]}, ['"a"', "3", "[4,5]"]),
]

REGEXES = [
    (r"[a-z]{2,5}( [a-z]+)*", ["the cat sat", "dog"]),
    (r"(yes|no|maybe)!?", ["yes", "maybe!"]),
    (r"[0-9]{4}-[0-9]{2}-[0-9]{2}", ["2024-05-17"]),
    (r"[A-Z][a-zé]* (is|was) [^.\n]{1,20}\.", ["Tom was a happy little dog."]),
    (r"(a|b)*abb", ["abababb"]),
    (r"[^\n]*", ["Once upon a time, 𝄞 é"]),
]

GBNF = [
    ('root ::= "(" root ")" root | ""', ["", "()", "(())()"]),
    ('root ::= sum\nsum ::= term | sum [-+] term\nterm ::= [0-9]+ | "(" sum ")"', ["1+(20-3)", "42"]),
    ('root ::= line+\nline ::= [A-Za-z ]+ "." "\\n"?', ["Tom ran. Lily sat.\n"]),
]


def read(path):
    tokens = {0: b""}
    for line in open(path, encoding="utf-8"):
        number, rest = line.split(" ", 1)
        text = ast.literal_eval(rest[: rest.rindex(" ")])
        tokens[int(number)] = text.encode() if isinstance(text, str) else text
    size = (max(tokens) + 1 + 1023) // 1024 * 1024
    return [tokens.get(i, b"") for i in range(size)]


class Tokenizer:
    eos_token_id = 0
    bos_token_id = None

    def __init__(self, tokens):
        # A token without text is taken for a special one, which no grammar has.
        self.tokens = [t or b"\xff<%d>" % i for i, t in enumerate(tokens)]
        self.ids = {t: i for i, t in enumerate(tokens) if t}
        self.longest = max(map(len, self.ids))

    def __call__(self, text):
        data = text.encode() if isinstance(text, str) else bytes(text)
        ids = []
        while data:
            n = next(n for n in range(min(self.longest, len(data)), 0, -1) if data[:n] in self.ids)
            ids.append(self.ids[data[:n]])
            data = data[n:]
        return ids


def steps(tokenizer, wrapped, grammar, text):
    matcher = llguidance.LLMatcher(wrapped, grammar)
    ids = tokenizer(text)
    out = []
    for n in range(len(ids) + 1):
        if matcher.is_error():
            raise SystemExit(f"{grammar}: {text}: {matcher.get_error()}")
        if matcher.is_stopped():
            break
        # One byte to an id: 0 where it is not allowed.
        bias = matcher.compute_logit_bias()
        allowed = [i for i, b in enumerate(bias) if b]
        digest = hashlib.sha256(",".join(map(str, allowed)).encode()).hexdigest()[:16]
        out.append([len(allowed), digest if len(allowed) != 1 else str(allowed[0])])
        if n < len(ids) and not matcher.consume_token(ids[n]):
            raise SystemExit(f"{grammar}: {text}: token {n} refused")
    return {"text": text, "ids": ids, "masks": out}


def main():
    tokenizer = Tokenizer(read(sys.argv[1]))
    wrapped = llguidance.LLTokenizer(llguidance.TokenizerWrapper(tokenizer))
    cases = []
    for schema, texts in SCHEMAS:
        options = {"whitespace_flexible": False, "item_separator": ",", "key_separator": ":"}
        grammar = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema), overrides=options)
        cases.append({"schema": schema, "texts": [steps(tokenizer, wrapped, grammar, t) for t in texts]})
    for pattern, texts in REGEXES:
        grammar = llguidance.LLMatcher.grammar_from_regex(pattern)
        cases.append({"regex": pattern, "texts": [steps(tokenizer, wrapped, grammar, t) for t in texts]})
    for text, texts in GBNF:
        grammar = llguidance.grammar_from("gbnf", text) if hasattr(llguidance, "grammar_from") else llguidance.gbnf_to_lark(text)
        cases.append({"gbnf": text, "texts": [steps(tokenizer, wrapped, grammar, t) for t in texts]})
    lines = ",\n".join(json.dumps(c, ensure_ascii=False, separators=(",", ":")) for c in cases)
    print("[\n" + lines + "\n]")


main()
