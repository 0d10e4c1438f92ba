package state_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/lora"
	"github.com/rwkv-gpu/rwkv-gpu/model/state"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// modelOf opens a model of tensors in memory.
func modelOf(tb testing.TB, list []*tensor.Tensor, loras ...lora.File) *model.Model {
	tb.Helper()
	f, err := weights.Parse("tiny", weightstest.Safetensors(list, nil))
	if err != nil {
		tb.Fatal(err)
	}
	if f, _, err = lora.Apply(f, loras); err != nil {
		tb.Fatal(err)
	}
	m, err := model.New(f)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = m.Close() })
	return m
}

func stateModel(tb testing.TB, s weightstest.Size) *model.Model {
	tb.Helper()
	return modelOf(tb, weightstest.RWKV7(s, tensor.F16, 1))
}

// oddSize has a width that is not a multiple of op.Pad, so that fields have padding between them.
var oddSize = weightstest.Size{Vocab: 67, Embed: 12, Layers: 3, Head: 4, FFN: 20, W: 3, A: 5, V: 2, G: 7}

// someState fills every field with awkward numbers, leaving padding 0.
func someState(m *model.Model) *state.State {
	rng := rand.New(rand.NewPCG(1, 2))
	special := []float32{float32(math.Copysign(0, -1)), math.SmallestNonzeroFloat32, math.MaxFloat32, -math.MaxFloat32, -1e30}
	x := make([]float32, m.Program.StateLen())
	for _, f := range m.Fields {
		for i := range f.Len() {
			x[f.Off+i] = float32(rng.NormFloat64())
			if i < len(special) {
				x[f.Off+i] = special[i]
			}
		}
	}
	return &state.State{Data: x, Tokens: 1 << 40, Pending: 5, Sampler: []byte("\x00counts\xff")}
}

// same reports whether two states are the same, bit for bit.
func same(a, b *state.State) bool {
	return sameBits(a.Data, b.Data) && a.Tokens == b.Tokens && a.Pending == b.Pending && bytes.Equal(a.Sampler, b.Sampler)
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

// Every version's state comes back from its file, over whatever state was there, and nothing is left behind.
func TestRoundTrip(t *testing.T) {
	models := map[string]*model.Model{"odd": stateModel(t, oddSize)}
	for _, version := range weightstest.Versions {
		models[version] = modelOf(t, weightstest.RWKV(version, weightstest.Tiny, tensor.F16, 1))
	}
	for name, m := range models {
		full := someState(m)
		path := filepath.Join(t.TempDir(), "s.safetensors")
		for _, want := range []*state.State{full, {Data: full.Data, Pending: state.None}, {Data: full.Data, Pending: 0},
			{Data: full.Data, Pending: m.Vocab - 1, Sampler: bytes.Repeat([]byte{0xff}, 700<<10)}} {
			if err := state.Write(m, path, want, false); err != nil {
				t.Fatal(err)
			}
			got, err := state.Read(m, path)
			if err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(path)
			if size, failed := state.Size(m, want); err != nil || failed != nil || int64(size) != info.Size() {
				t.Errorf("%s: the file has %d bytes, expected %d (%v, %v)", name, info.Size(), size, err, failed)
			}
			if !same(got, want) {
				t.Errorf("%s: state differs after a round trip: %d tokens, pending %d, %d bytes of the sampler", name, got.Tokens, got.Pending, len(got.Sampler))
			}
		}
		if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
			t.Errorf("%s: files left behind: %v", name, left)
		}
	}
}

// The file is what its description says, as another reader of safetensors sees it.
func TestStateFile(t *testing.T) {
	m := stateModel(t, oddSize)
	want := someState(m)
	data, err := state.Encode(m, want)
	if err != nil {
		t.Fatal(err)
	}
	f, err := weights.Parse("s", data)
	if err != nil {
		t.Fatal(err)
	}
	shapes := map[string]string{"state.att_x": "F32[3 12]", "state.ffn_x": "F32[3 12]", "state.att_kv": "F32[3 3 4 4]"}
	for name, x := range f.Tensors {
		if got := strings.TrimPrefix(x.String(), name+" "); got != shapes[name] {
			t.Errorf("%s: want %s, got %s", name, shapes[name], got)
		}
		values, _ := x.Floats()
		n := len(values) / 3
		for _, field := range m.Fields {
			if "state."+field.Name == name && !sameBits(values[field.Layer*n:][:n], want.Data[field.Off:][:n]) {
				t.Errorf("%s: layer %d is not where it should be", name, field.Layer)
			}
		}
	}
	id, err := m.ID()
	if err != nil {
		t.Fatal(err)
	}
	annotations := map[string]string{"format": "rwkv-gpu state", "version": "2", "model": "v7", "config_hash": fmt.Sprintf("%08x", m.Hash()),
		"norm_eps": "1e-05", "group_norm_eps": "0.00064", "layout": "value-major", "model_id": id, "tokens": "1099511627776", "pending": "5", "sampler": "AGNvdW50c/8="}
	h := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		fmt.Fprintf(h, "\"%s\"=\"%s\"\n", key, annotations[key])
	}
	h.Write(append([]byte("\n"), data[8+binary.LittleEndian.Uint64(data):]...))
	annotations["sha256"] = hex.EncodeToString(h.Sum(nil))
	if len(f.Tensors) != 3 || !maps.Equal(f.Meta, annotations) {
		t.Errorf("%d tensors, annotations %v, want %v", len(f.Tensors), f.Meta, annotations)
	}
}

func TestRefused(t *testing.T) {
	m := stateModel(t, weightstest.Tiny)
	good, err := state.Encode(m, someState(m))
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
	fromOther, err := state.Encode(other, someState(other))
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
		{"sizes", fromOther, "config_hash"},
		{"format", replace("rwkv-gpu state", "rwkv-gpu stale"), `format: want "rwkv-gpu state", got "rwkv-gpu stale"`},
		{"version", replace(`"version":"2"`, `"version":"3"`), `version: want "2", got "3"`},
		{"older", replace(`"version":"2"`, `"version":"1"`), "data: want the SHA-256"},
		{"layout", replace("value-major", "kalue-major"), `layout: want "value-major", got "kalue-major"`},
		{"no layout", replace(`"layout"`, `"layoud"`), "layout: want \"value-major\", got none"},
		{"checksum", replace(`"sha256":"`, `"sha257":"`), "data: want the SHA-256 , got"},
		{"pending", replace(`"pending":"5"`, `"pending":"4"`), "data: want the SHA-256"},
		{"no pending", replace(`"pending":"5"`, `"qending":"5"`), "data: want the SHA-256"},
		{"tokens", replace(`"tokens":"1099`, `"tokens":"1098`), "data: want the SHA-256"},
		{"sampler", replace("AGNvdW50", "BGNvdW50"), "data: want the SHA-256"},
		{"field", replace("state.att_x", "state.att_y"), "tensor state.att_x: missing from the file (it has state.att_y)"},
		{"swapped", swapNames(good), "data: want the SHA-256"},
		{"shape", replace("[2,32]", "[32,2]"), "tensor state.att_x: shape: want F32[2 32], got F32[32 2]"},
		{"model file", weightstest.Safetensors(weightstest.RWKV7(weightstest.Tiny, tensor.F32, 1), nil), "format: want \"rwkv-gpu state\", got none"},
		{"tokens beyond all", resigned(t, good, "tokens", "-1"), `tokens: want a whole number from 0 to 281474976710656, got "-1"`},
		{"more tokens than all", resigned(t, good, "tokens", "281474976710657"), `tokens: want a whole number from 0 to 281474976710656, got "281474976710657"`},
		{"tokens at the end of numbers", resigned(t, good, "tokens", "9223372036854775807"), "tokens: want a whole number from 0 to"},
		{"pending beyond all", resigned(t, good, "pending", "67"), `pending: want a token of 67, got "67"`},
		{"sampler beyond all", resigned(t, good, "sampler", "AA=A"), `sampler: want at most 716800 bytes as base64, got "AA=A"`},
	} {
		got, err := state.Decode(m, "s.st", c.data)
		if err == nil || got != nil || !strings.HasPrefix(err.Error(), "s.st: ") || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: want an error with %q, got %v", c.name, c.want, err)
		}
	}
}

// resigned returns a state file with another annotation, or without it if value is "", and the checksum of that.
func resigned(t *testing.T, data []byte, key, value string) []byte {
	t.Helper()
	f, err := weights.Parse("s", data)
	if err != nil {
		t.Fatal(err)
	}
	if f.Meta[key] = value; value == "" {
		delete(f.Meta, key)
	}
	delete(f.Meta, "sha256")
	h := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(f.Meta)) {
		fmt.Fprintf(h, "%q=%q\n", key, f.Meta[key])
	}
	h.Write([]byte("\n"))
	var list []*tensor.Tensor
	for _, name := range []string{"state.att_x", "state.ffn_x", "state.att_kv"} {
		list = append(list, f.Tensors[name])
		x, err := f.Tensors[name].Load()
		if err != nil {
			t.Fatal(err)
		}
		h.Write(x)
	}
	f.Meta["sha256"] = hex.EncodeToString(h.Sum(nil))
	return weightstest.Safetensors(list, f.Meta)
}

// No text of a file makes a long error.
func TestLongAnnotations(t *testing.T) {
	m := stateModel(t, weightstest.Tiny)
	good, err := state.Encode(m, someState(m))
	if err != nil {
		t.Fatal(err)
	}
	f, err := weights.Parse("s", good)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("%", 900<<10)
	for key := range f.Meta {
		data := resigned(t, good, key, long)
		if key == "sha256" {
			data = bytes.Replace(good, []byte(f.Meta[key]), []byte(long), 1)
			binary.LittleEndian.PutUint64(data, binary.LittleEndian.Uint64(data)+uint64(len(long)-len(f.Meta[key])))
		}
		if _, err := state.Decode(m, "s", data); err == nil || len(err.Error()) > 1<<10 {
			t.Errorf("%s: want a short error, got %.200v", key, err)
		}
	}
}

// What is no state of a sequence is not written.
func TestEncodeRefuses(t *testing.T) {
	m := stateModel(t, weightstest.Tiny)
	for want, spoil := range map[string]func(s *state.State){
		"want a finite number, got +Inf":                       func(s *state.State) { s.Data[m.Fields[3].Off+2] = float32(math.Inf(1)) },
		"elements, got":                                        func(s *state.State) { s.Data = s.Data[1:] },
		"tokens: want 0 to 281474976710656, got -1":            func(s *state.State) { s.Tokens = -1 },
		"tokens: want 0 to 281474976710656, got 2814749767106": func(s *state.State) { s.Tokens = state.MostTokens + 1 },
		"pending: want a token of 67, or -1 for none, got 67":  func(s *state.State) { s.Pending = m.Vocab },
		"pending: want a token of 67, or -1 for none, got -2":  func(s *state.State) { s.Pending = -2 },
		"sampler: want at most 716800 bytes, got 716801":       func(s *state.State) { s.Sampler = make([]byte, 700<<10+1) },
	} {
		s := someState(m)
		spoil(s)
		if _, err := state.Encode(m, s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// A file that was cut anywhere or in which any bit is another one is refused, or is the same state: never another. So
// is a file of version 1.
func TestDamaged(t *testing.T) {
	size := weightstest.Size{Vocab: 9, Embed: 4, Layers: 1, Head: 4, FFN: 8, W: 2, A: 2, V: 2, G: 2}
	m, first := stateModel(t, size), stateModel(t, firstSize)
	now, err := state.Encode(m, someState(m))
	if err != nil {
		t.Fatal(err)
	}
	then, err := os.ReadFile(filepath.Join("testdata", "version1_v7.st"))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("now", func(t *testing.T) { damaged(t, m, now) })
	t.Run("version 1", func(t *testing.T) { damaged(t, first, then) })
}

func damaged(t *testing.T, m *model.Model, data []byte) {
	want, err := state.Decode(m, "s", data)
	if err != nil {
		t.Fatal(err)
	}
	for n := range data {
		if _, err := state.Decode(m, "s", data[:n]); err == nil {
			t.Errorf("%d of %d bytes are taken for a state", n, len(data))
		}
	}
	for i := range len(data) * 8 {
		data[i/8] ^= 1 << (i % 8)
		if got, err := state.Decode(m, "s", data); err == nil {
			if !same(got, want) {
				t.Errorf("bit %d of byte %d: another state", i%8, i/8)
			}
		} else if strings.ContainsAny(err.Error(), "\n\r") {
			t.Errorf("bit %d of byte %d: want one line, got %q", i%8, i/8, err)
		}
		data[i/8] ^= 1 << (i % 8)
	}
}

// swapNames exchanges two tensors of the same shape.
func swapNames(data []byte) []byte {
	s := strings.NewReplacer("state.att_x", "state.ffn_x", "state.ffn_x", "state.att_x").Replace(string(data))
	return []byte(s)
}

func FuzzState(f *testing.F) {
	m := stateModel(f, weightstest.Tiny)
	good, err := state.Encode(m, someState(m))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(swapNames(good))
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := state.Decode(m, "s", data)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("want one line, got %q", err)
			}
			return
		}
		again, err := state.Encode(m, got)
		if err != nil {
			t.Fatal(err)
		}
		back, err := state.Decode(m, "s", again)
		if err != nil || !same(back, got) {
			t.Errorf("accepted, but does not come back: %v", err)
		}
	})
}
