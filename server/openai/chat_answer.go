package openai

// Chat is an answer of /v1/chat/completions, or a piece of it.
type Chat struct {
	ID          string       `json:"id"`
	Object      string       `json:"object"` // chat.completion, or chat.completion.chunk
	Created     int64        `json:"created"`
	Model       string       `json:"model"`
	Fingerprint string       `json:"system_fingerprint"`
	Choices     []ChatChoice `json:"choices"`
	Tier        string       `json:"service_tier,omitzero"`
	Usage       *Usage       `json:"usage,omitzero"`
	State       string       `json:"state,omitzero"` // behind the answer; in a stream, in the piece that ends it
}

// ChatChoice is one of the answers: a Message, or in a stream a Delta.
type ChatChoice struct {
	Index    int           `json:"index"`
	Message  *ChatMessage  `json:"message,omitzero"`
	Delta    *ChatDelta    `json:"delta,omitzero"`
	Logprobs *ChatLogprobs `json:"logprobs"`
	Finish   *string       `json:"finish_reason"`
}

// ChatMessage is what the model wrote.
type ChatMessage struct {
	Role      string     `json:"role"` // assistant
	Content   *string    `json:"content"`
	Reasoning *string    `json:"reasoning_content,omitzero"`
	Calls     []ToolCall `json:"tool_calls,omitempty"`
}

// ChatDelta is a piece of it.
type ChatDelta struct {
	Role      string     `json:"role,omitzero"`
	Content   *string    `json:"content,omitzero"`
	Reasoning *string    `json:"reasoning_content,omitzero"`
	Calls     []ToolCall `json:"tool_calls,omitempty"`
}

// ToolCall is a call of a tool. In a stream Index says which call a piece is of.
type ToolCall struct {
	Index    *int           `json:"index,omitzero"`
	ID       string         `json:"id,omitzero"`
	Type     string         `json:"type,omitzero"`
	Function CalledFunction `json:"function"`
}

// CalledFunction is which function a call is of, and its arguments, JSON as text.
type CalledFunction struct {
	Name      *string `json:"name,omitzero"`
	Arguments string  `json:"arguments"`
}

// ChatLogprobs tell how likely tokens were, in the form of /v1/chat/completions.
type ChatLogprobs struct {
	Content []ChatToken `json:"content"`
}

// ChatToken is a token with its likeliest alternatives.
type ChatToken struct {
	TokenLogprob
	Top []TokenLogprob `json:"top_logprobs"`
}

// TokenLogprob is a token and how likely it was.
type TokenLogprob struct {
	Token   string  `json:"token"`
	Logprob float32 `json:"logprob"`
	Bytes   []int   `json:"bytes"`
}
