package prompt

import "encoding/json"

// Role says who speaks.
type Role string

// Roles of messages. OpenAI's "developer" is System.
const (
	System    Role = "system"
	User      Role = "user"
	Assistant Role = "assistant"
	Output    Role = "tool" // what a called tool returned
)

// Message is one message of a conversation.
type Message struct {
	Role      Role
	Content   string // the text; texts of several parts are joined by a line break
	Reasoning string // of an assistant: what it thought before the answer
	Calls     []Call // of an assistant
	CallID    string // of a tool's output: the call that it answers
}

// Call is a call of a tool, as an assistant writes it.
type Call struct {
	ID        string
	Name      string
	Arguments string // a JSON object as text; models and clients do not always keep to that
}

// Tool is a function that the model may call.
type Tool struct {
	Name        string
	Description string
	Parameters  json.RawMessage // a JSON schema of the arguments; nil for none
}
