package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/internal/words"
	"github.com/rwkv-gpu/rwkv-gpu/model/state"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
)

// ErrQuit is the error of the command that ends a conversation.
var ErrQuit = errors.New("the conversation is over")

// Files reads and writes states for commands.
type Files interface {
	Save(path string, s *state.State) error
	Load(path string) (*state.State, error)
}

// Help lists the commands, a line each.
const Help = `/retry            answer the last message again
/edit N TEXT      say TEXT in place of message N, and go on from there
/undo             forget the last message and its answer
/fork NAME        go on in a copy of the conversation
/switch NAME      go to another copy; without a name, list them
/system TEXT      say TEXT to the model before all else; nothing of it if TEXT is empty
/set KEY VALUE    temperature, top_p, top_k, min_p, presence, frequency, penalty_decay, seed, max, think, preset
/save FILE        write the state of the conversation
/load FILE        begin a conversation after the state in FILE
/stats            what was read, kept and drawn
/quit             end`

// Outcome is what a command or a message came to.
type Outcome struct {
	Reply *Reply // nil where nothing was answered
	Note  string // for the user; may have several lines
}

// Do says a line to the model, or does the command that it is. Lines that begin with / are commands; one that begins with //
// says the line without its first /.
func (s *Session) Do(ctx context.Context, line string, files Files, each func(prompt.Delta) error) (Outcome, error) {
	if rest, said := strings.CutPrefix(line, "//"); said {
		line = "/" + rest
	} else if strings.HasPrefix(line, "/") {
		name, rest, _ := strings.Cut(line[1:], " ")
		return s.command(ctx, name, strings.TrimSpace(rest), files, each)
	}
	r, err := s.Say(ctx, line, each)
	return Outcome{Reply: r}, err
}

func (s *Session) command(ctx context.Context, name, rest string, files Files, each func(prompt.Delta) error) (o Outcome, err error) {
	switch name {
	case "quit", "exit":
		return o, ErrQuit
	case "help", "?":
		o.Note = Help
	case "retry":
		o.Reply, err = s.retry(ctx, each)
	case "edit":
		o.Reply, err = s.edit(ctx, rest, each)
	case "undo":
		err = s.undo()
	case "fork":
		err = s.fork(rest)
	case "switch":
		o.Note, err = s.turnTo(rest)
	case "system":
		s.o.System = rest
	case "set":
		key, value, _ := strings.Cut(rest, " ")
		err = s.Set(key, strings.TrimSpace(value))
	case "save":
		err = s.save(ctx, rest, files)
	case "load":
		err = s.load(rest, files)
	case "stats":
		t := s.total
		o.Note = fmt.Sprintf("%s: %s of prompts, %d of them not read again, %s drawn", words.Plural(t.Answers, "answer"), words.Plural(t.Prompt, "token"), t.Cached,
			words.Plural(t.Drawn, "token"))
	default:
		err = errors.New("there is no such command; /help lists them")
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		err = fmt.Errorf("/%s: %w", name, err)
	}
	return o, err
}

func (s *Session) retry(ctx context.Context, each func(prompt.Delta) error) (*Reply, error) {
	b := s.branches[s.current]
	if len(b.turns) == 0 {
		return nil, errors.New("want a message to answer, got none yet")
	}
	t := &b.turns[len(b.turns)-1]
	before := *t
	t.Content, t.Reasoning, t.Answered = "", "", false
	r, err := s.answer(ctx, each)
	if r == nil {
		b.turns[len(b.turns)-1] = before
	}
	return r, err
}

func (s *Session) edit(ctx context.Context, rest string, each func(prompt.Delta) error) (*Reply, error) {
	number, said, _ := strings.Cut(rest, " ")
	b := s.branches[s.current]
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > len(b.turns) {
		return nil, fmt.Errorf("want the number of a message, 1 to %d, got %q", len(b.turns), number)
	}
	before := b.turns
	b.turns = slices.Clone(b.turns[:n-1])
	r, err := s.Say(ctx, strings.TrimSpace(said), each)
	if r == nil {
		b.turns = before
	}
	return r, err
}

func (s *Session) undo() error {
	b := s.branches[s.current]
	if len(b.turns) == 0 {
		return errors.New("want a message to forget, got none")
	}
	b.turns = b.turns[:len(b.turns)-1]
	return nil
}

func (s *Session) fork(name string) error {
	switch {
	case name == "":
		return errors.New("want a name for the copy, got none")
	case s.branches[name] != nil:
		return fmt.Errorf("want a new name, got %q, which is there", name)
	}
	b := s.branches[s.current]
	s.branches[name] = &branch{begin: b.begin, turns: slices.Clone(b.turns)}
	s.current = name
	return nil
}

func (s *Session) turnTo(name string) (note string, err error) {
	if name == "" {
		return strings.Join(s.Branches(), "\n"), nil
	}
	if s.branches[name] == nil {
		return "", fmt.Errorf("want one of %s, got %q", strings.Join(s.Branches(), ", "), name)
	}
	s.current = name
	return "", nil
}

func (s *Session) save(ctx context.Context, path string, files Files) error {
	if path == "" {
		return errors.New("want a file, got none")
	}
	after, err := s.State(ctx)
	if err != nil {
		return err
	}
	return files.Save(path, after)
}

func (s *Session) load(path string, files Files) error {
	if path == "" {
		return errors.New("want a file, got none")
	}
	begin, err := files.Load(path)
	if err != nil {
		return err
	}
	*s.branches[s.current] = branch{begin: begin}
	return nil
}
