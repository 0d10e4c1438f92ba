package model

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

func stateModel(tb testing.TB, s weightstest.Size) *Model {
	tb.Helper()
	f, err := weights.Parse("tiny", weightstest.Safetensors(weightstest.RWKV7(s, tensor.F16, 1), nil))
	if err != nil {
		tb.Fatal(err)
	}
	m, err := New(f)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// oddSize has a width that is not a multiple of op.Pad, so that fields have padding between them.
var oddSize = weightstest.Size{Vocab: 67, Embed: 12, Layers: 3, Head: 4, FFN: 20, W: 3, A: 5, V: 2, G: 7}

// someState fills every field with awkward numbers, leaving padding 0.
func someState(m *Model) []float32 {
	rng := rand.New(rand.NewPCG(1, 2))
	special := []float32{float32(math.Copysign(0, -1)), math.SmallestNonzeroFloat32, math.MaxFloat32, -math.MaxFloat32, -1e30}
	state := make([]float32, m.Program.StateLen())
	for _, f := range m.Fields {
		for i := range f.Len() {
			state[f.Off+i] = float32(rng.NormFloat64())
			if i < len(special) {
				state[f.Off+i] = special[i]
			}
		}
	}
	return state
}

func sameBits(a, b []float32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return false
		}
	}
	return true
}

func TestStateRoundTrip(t *testing.T) {
	for _, size := range []weightstest.Size{weightstest.Tiny, oddSize} {
		m := stateModel(t, size)
		want := someState(m)
		path := filepath.Join(t.TempDir(), "s.safetensors")
		for range 2 { // the second time over the first file
			if err := m.WriteState(path, want, false); err != nil {
				t.Fatal(err)
			}
		}
		got, err := m.ReadState(path)
		if err != nil {
			t.Fatal(err)
		}
		if !sameBits(got, want) {
			t.Error("state differs after a round trip")
		}
		if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
			t.Errorf("files left behind: %v", left)
		}
	}
}

// The file is what its description says, as another reader of safetensors sees it.
func TestStateFile(t *testing.T) {
	m := stateModel(t, oddSize)
	state := someState(m)
	data, err := m.EncodeState(state)
	if err != nil {
		t.Fatal(err)
	}
	f, err := weights.Parse("s", data)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"state.att_x": "F32[3 12]", "state.ffn_x": "F32[3 12]", "state.att_kv": "F32[3 3 4 4]"}
	for name, x := range f.Tensors {
		if got := strings.TrimPrefix(x.String(), name+" "); got != want[name] {
			t.Errorf("%s: want %s, got %s", name, want[name], got)
		}
		values, _ := x.Floats()
		n := len(values) / 3
		for _, field := range m.Fields {
			if "state."+field.Name == name && !sameBits(values[field.Layer*n:][:n], state[field.Off:][:n]) {
				t.Errorf("%s: layer %d is not where it should be", name, field.Layer)
			}
		}
	}
	if len(f.Tensors) != 3 || f.Meta["format"] != "rwkv-gpu state" || f.Meta["version"] != "1" || f.Meta["model"] != "v7" ||
		f.Meta["layout"] != "value-major" || len(f.Meta["sha256"]) != 64 {
		t.Errorf("%d tensors, %v", len(f.Tensors), f.Meta)
	}
}

func TestStateRefused(t *testing.T) {
	m := stateModel(t, weightstest.Tiny)
	state := someState(m)
	good, err := m.EncodeState(state)
	if err != nil {
		t.Fatal(err)
	}
	other := stateModel(t, oddSize)
	replace := func(old, with string) []byte {
		if !bytes.Contains(good, []byte(old)) || len(old) != len(with) {
			t.Fatalf("no %q", old)
		}
		return bytes.Replace(good, []byte(old), []byte(with), 1)
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)-4] ^= 1
	notFinite := bytes.Clone(good)
	copy(notFinite[len(notFinite)-4:], "\x00\x00\xc0\x7f")
	fromOther, err := other.EncodeState(someState(other))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"bit", flipped, "data: want the SHA-256"},
		{"nan", notFinite, "want finite numbers, got NaN"},
		{"cut", good[:len(good)-4], "truncated"},
		{"empty", nil, "empty file"},
		{"other model", fromOther, "config_hash"},
		{"format", replace("rwkv-gpu state", "rwkv-gpu stale"), `format: want "rwkv-gpu state", got "rwkv-gpu stale"`},
		{"version", replace(`"version":"1"`, `"version":"2"`), `version: want "1", got "2"`},
		{"layout", replace("value-major", "kalue-major"), "layout"},
		{"no layout", replace(`"layout"`, `"layoud"`), "layout: want \"value-major\", got none"},
		{"checksum", replace(`"sha256":"`, `"sha257":"`), "data: want the SHA-256 , got"},
		{"field", replace("state.att_x", "state.att_y"), "tensor state.att_x: missing from the file (it has state.att_y)"},
		{"swapped", swapNames(good), "data: want the SHA-256"},
		{"shape", replace("[2,32]", "[32,2]"), "tensor state.att_x: shape: want F32[2 32], got F32[32 2]"},
		{"model file", weightstest.Safetensors(weightstest.RWKV7(weightstest.Tiny, tensor.F32, 1), nil), "format: want \"rwkv-gpu state\", got none"},
	} {
		got, err := m.DecodeState("s.st", c.data)
		if err == nil || got != nil || !strings.HasPrefix(err.Error(), "s.st: ") || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: want an error with %q, got %v", c.name, c.want, err)
		}
	}
	state[m.Fields[3].Off+2] = float32(math.Inf(1))
	if _, err := m.EncodeState(state); err == nil || !strings.Contains(err.Error(), "want a finite number, got +Inf") {
		t.Errorf("%v", err)
	}
	if _, err := m.EncodeState(state[1:]); err == nil {
		t.Error("a state that is too short was taken")
	}
}

// swapNames exchanges two tensors of the same shape.
func swapNames(data []byte) []byte {
	s := strings.NewReplacer("state.att_x", "state.ffn_x", "state.ffn_x", "state.att_x").Replace(string(data))
	return []byte(s)
}

func FuzzState(f *testing.F) {
	m := stateModel(f, weightstest.Tiny)
	good, err := m.EncodeState(someState(m))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(swapNames(good))
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		state, err := m.DecodeState("s", data)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("want one line, got %q", err)
			}
			return
		}
		again, err := m.EncodeState(state)
		if err != nil {
			t.Fatal(err)
		}
		back, err := m.DecodeState("s", again)
		if err != nil || !sameBits(back, state) {
			t.Errorf("accepted, but does not come back: %v", err)
		}
	})
}
