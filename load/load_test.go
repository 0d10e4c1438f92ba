package load_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/state"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// tiny writes a model without a vocabulary beside it.
func tiny(t *testing.T) (path string, list []*tensor.Tensor) {
	list = weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1)
	return weightstest.Write(t, "tiny.st", list), list
}

// saved writes a state of the model at path.
func saved(t *testing.T, path string, s *state.State) string {
	t.Helper()
	m, err := model.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	if s.Data == nil {
		s.Data = make([]float32, m.Program.StateLen())
		s.Data[0] = 1.5
	}
	out := filepath.Join(t.TempDir(), "saved.st")
	if err := state.Write(m, out, s, false); err != nil {
		t.Fatal(err)
	}
	return out
}

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// All that the options name is in what is opened.
func TestOpen(t *testing.T) {
	path, list := tiny(t)
	lora := weightstest.Write(t, "l.pth", weightstest.LoRA(list, 2, tensor.F16, 1))
	vocab := write(t, "v.txt", []byte("1 'A' 1\n2 'B' 1\n"))
	plain, err := load.Open(load.Options{Model: path})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plain.Close() }()
	if plain.Begin != nil || len(plain.Begin.First([]int{7})) != 1 {
		t.Errorf("a state to begin with: %+v", plain.Begin)
	}
	var notices []string
	m, err := load.Open(load.Options{Model: path, Vocab: vocab, LoRAs: []string{lora, lora + ":0.5"}, Quant: "Q8_0",
		State: stateWithLoRA(t, path, lora), Notice: func(n load.Notice) { notices = append(notices, n.String()) }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	tok, err := m.Tokenizer()
	if err != nil || tok.Size() != 3 {
		t.Errorf("vocabulary: %v (%v)", tok, err)
	}
	initial, err := m.Program.InitialState()
	if err != nil || initial[0] != 1.5 {
		t.Errorf("the state begins with %v (%v)", initial[:1], err)
	}
	if got := m.Begin.First([]int{7}); !slices.Equal(got, []int{3, 7}) || m.Begin.Tokens != 9 {
		t.Errorf("first %v, %+v", got, m.Begin)
	}
	if m.LoadedAs("head.weight") != tensor.Q8_0 || len(m.File.Sources) != 2 {
		t.Errorf("head as %s, %d LoRAs", m.LoadedAs("head.weight"), len(m.File.Sources))
	}
	for i, want := range []string{
		"merging " + lora + ": matrices changed: 12, rank 2, scale 1; LoRA " + lora + ":ALPHA/RANK, as a number, if it was trained with another alpha than its rank",
		"merging " + lora + ": matrices changed: 12, rank 2, scale 0.5",
		"quantizing to Q8_0 while loading: weights ",
	} {
		if len(notices) != 3 || !strings.HasPrefix(notices[i], want) || i == 1 && notices[i] != want {
			t.Errorf("notice %d: want %q, got %q", i, want, notices)
			break
		}
	}
}

// stateWithLoRA writes a state of the model at path with the LoRA twice, as TestOpen has it.
func stateWithLoRA(t *testing.T, path, lora string) string {
	t.Helper()
	m, err := load.Open(load.Options{Model: path, LoRAs: []string{lora, lora + ":0.5"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	s := &state.State{Data: make([]float32, m.Program.StateLen()), Tokens: 9, Pending: 3}
	s.Data[0] = 1.5
	out := filepath.Join(t.TempDir(), "lora.st")
	if err := state.Write(m.Model, out, s, false); err != nil {
		t.Fatal(err)
	}
	return out
}

// An error says which option is at fault, names the file once, and leaves nothing open.
func TestErrors(t *testing.T) {
	path, list := tiny(t)
	lora := weightstest.Write(t, "l.pth", weightstest.LoRA(list, 2, tensor.F16, 1))
	other := weightstest.Write(t, "other.st", weightstest.RWKV7(weightstest.Tiny, tensor.F16, 2))
	none := filepath.Join(t.TempDir(), "none")
	before := openFiles(t)
	for _, c := range []struct {
		in     load.Input
		advice bool
		want   string
		o      load.Options
	}{
		{load.Model, false, none + ": stat: no such file or directory", load.Options{Model: none}},
		{load.Model, false, lora + ": version: want an RWKV model", load.Options{Model: lora}},
		{load.LoRA, false, none + ": stat: no such file or directory", load.Options{Model: path, LoRAs: []string{lora, none}}},
		{load.LoRA, false, path + ": tensors: want a LoRA", load.Options{Model: path, LoRAs: []string{path}}},
		{load.State, false, none + ": stat: no such file or directory", load.Options{Model: path, LoRAs: []string{lora}, State: none}},
		{load.State, false, path + ": tensor blocks.0.att.a0: name: want only", load.Options{Model: path, State: path}},
		{load.State, false, ": model_id: want", load.Options{Model: path, State: saved(t, other, &state.State{Pending: state.None})}},
		{load.Vocab, false, none + ": open: no such file or directory", load.Options{Model: path, Vocab: none}},
		{load.Vocab, false, path + ": ", load.Options{Model: path, Vocab: path}},
		{load.Vocab, true, path + ": no vocabulary for the model's 67 ids: want ", load.Options{Model: path}},
	} {
		m, err := load.Open(c.o)
		if err == nil {
			_, err = m.Tokenizer()
			_ = m.Close()
		}
		var file *load.FileError
		if !errors.As(err, &file) || file.Input != c.in || file.Advice != c.advice || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: want a fault of the %s: %q, got %v", c.o, c.in, c.want, err)
		}
		if strings.HasSuffix(c.want, "no such file or directory") && (!errors.Is(err, fs.ErrNotExist) || err.Error() != c.want) {
			t.Errorf("want %q, which is fs.ErrNotExist, got %v", c.want, err)
		}
	}
	m, err := load.Open(load.Options{Model: path, GroupNormEps: 1e-5})
	var option *load.OptionError
	if !errors.As(err, &option) || option.Input != load.GroupNormEps || !strings.HasSuffix(err.Error(), "only RWKV-5 has it, "+path+" is v7") || m != nil {
		t.Errorf("epsilon: %v", err)
	}
	if _, err := load.Vocabulary(load.Options{Vocab: none}); err == nil || err.Error() != none+": open: no such file or directory" {
		t.Error(err)
	}
	if after := openFiles(t); after != before {
		t.Errorf("%d files are open, %d were before", after, before)
	}
}

// openFiles returns how many files this process has open, 0 where the system does not tell.
func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(list)
}

// A model without a vocabulary writes ids, which a notice says; one that is given has to do.
func TestNumbers(t *testing.T) {
	path, _ := tiny(t)
	var notices []string
	m, err := load.Open(load.Options{Model: path, Notice: func(n load.Notice) { notices = append(notices, n.Text) }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	tok, err := m.TokenizerOrNumbers()
	if err != nil || string(tok.Bytes(66)) != "66 " || tok.Bytes(67) != nil || tok.Size() != 67 {
		t.Errorf("%v (%v)", tok, err)
	}
	if len(notices) != 1 || !strings.Contains(notices[0], "no vocabulary for the model's 67 ids") || !strings.HasSuffix(notices[0], ": tokens are written as ids") {
		t.Errorf("%q", notices)
	}
	given, err := load.Open(load.Options{Model: path, Vocab: path})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = given.Close() }()
	if _, err := given.TokenizerOrNumbers(); err == nil {
		t.Error("a file that is no vocabulary was passed over")
	}
}
