// Package chat holds a conversation with a model: its turns, branches of it, the settings, and the commands that change them.
// A turn costs its new tokens only, also after a change of an earlier one, since states are kept at the ends of messages.
// Who shows it to a person, and how, is another's business.
package chat
