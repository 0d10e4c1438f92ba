"""LangChain's own tests of chat models and embeddings, on langchain-openai."""

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests, EmbeddingsUnitTests

import served

DOUBLE = {"model": "double", "base_url": served.DOUBLE + "/v1", "api_key": served.KEY, "stream_usage": True, "max_retries": 0}
DEMO = {"model": "demo", "base_url": served.DEMO + "/v1", "api_key": "none", "stream_usage": True, "max_retries": 0, "max_tokens": 24}


class Chat:
    """What langchain-tests asks of a class about the model."""

    chat_model_class = ChatOpenAI
    chat_model_params = DOUBLE
    supports_json_mode = True
    model_override_value = "double-alias"


class TestDoubleAlone(Chat, ChatModelUnitTests):
    @pytest.mark.xfail(reason="it compares with a stored text, which is in the repository of langchain-openai alone", strict=True)
    def test_serdes(self, model, snapshot):
        super().test_serdes(model, snapshot)


class TestDouble(Chat, ChatModelIntegrationTests):
    supported_usage_metadata_details = {"invoke": ["cache_read_input", "reasoning_output"], "stream": ["cache_read_input", "reasoning_output"]}

    def ask(self, stream, message, **options):
        model = ChatOpenAI(**{**DOUBLE, **options})
        if not stream:
            return model.invoke(message)
        whole = None
        for chunk in model.stream(message):
            whole = chunk if whole is None else whole + chunk
        return whole

    def invoke_with_cache_read_input(self, *, stream=False):
        return self.ask(stream, "Hi")

    def invoke_with_reasoning_output(self, *, stream=False):
        got = self.ask(stream, served.write(">\nA greeting.\n</think>\nHello!"), reasoning_effort="low")
        assert got.usage_metadata["output_token_details"]["reasoning"] > 0
        return got


class TestResponses(Chat, ChatModelIntegrationTests):
    """The same over responses instead of chats."""

    chat_model_params = {**DOUBLE, "use_responses_api": True}


class TestDemo(Chat, ChatModelIntegrationTests):
    """What does not depend on what the model writes, with the demo model."""

    chat_model_params = DEMO
    has_tool_calling = False
    has_tool_choice = False
    has_structured_output = False
    supports_json_mode = False
    supports_model_override = False


class Embeddings:
    embeddings_class = OpenAIEmbeddings
    embedding_model_params = {"model": "demo", "base_url": served.DEMO + "/v1", "api_key": "none", "check_embedding_ctx_length": False}


class TestEmbeddingsAlone(Embeddings, EmbeddingsUnitTests):
    pass


class TestEmbeddings(Embeddings, EmbeddingsIntegrationTests):
    pass


def test_content():
    """What langchain-tests leaves open: the texts."""
    model = ChatOpenAI(**DOUBLE)
    got = model.invoke([("system", "Be kind."), HumanMessage("Hi"), AIMessage("Hello."), HumanMessage("Who?")])
    assert got.content == "You said: Who?" and got.usage_metadata["output_tokens"] > 0
    assert "".join(chunk.content for chunk in model.stream(served.write(" One two."))) == "One two."
    assert [m.content for m in model.batch([served.write(f" {i}") for i in range(4)])] == ["0", "1", "2", "3"]
    assert model.bind(logprobs=True).invoke(served.write(" One")).response_metadata["logprobs"]["content"][0]["token"] == " One"


def test_previous():
    """A response goes on from an earlier one."""
    model = ChatOpenAI(**DOUBLE, use_responses_api=True, use_previous_response_id=True)
    first = HumanMessage(served.write(" Hello."))
    answer = model.invoke([first])
    assert answer.text == "Hello." and answer.response_metadata["id"].startswith("resp_")
    shown = model.invoke([first, answer, HumanMessage("show")])
    assert "Assistant: Hello.\\n\\nUser: show" in shown.text


def test_errors():
    from openai import AuthenticationError, NotFoundError

    with pytest.raises(NotFoundError):
        ChatOpenAI(**{**DOUBLE, "model": "other"}).invoke("Hi")
    with pytest.raises(AuthenticationError):
        ChatOpenAI(**{**DOUBLE, "api_key": "wrong"}).invoke("Hi")
    assert ChatOpenAI(**{**DOUBLE, "max_retries": 2}).invoke("busy 2 langchain").content == "You said: busy 2 langchain"
