package demo

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
)

// The embedded bytes and the reference data are the published ones, byte for byte (checksums.txt, sha256sum's format).
func TestChecksums(t *testing.T) {
	embedded := map[string][]byte{"demo.safetensors": Weights(), "vocab.txt": Vocab(), "draft.gguf": Draft()}
	lines := strings.Split(strings.TrimSpace(string(read(t, "checksums.txt"))), "\n")
	for _, line := range lines {
		want, name, ok := strings.Cut(line, "  ")
		if !ok {
			t.Fatalf("checksums.txt: %q is not HASH, two spaces, NAME", line)
		}
		data, isEmbedded := embedded[name]
		if !isEmbedded {
			data = read(t, name)
		}
		delete(embedded, name)
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s: sha256 %x, checksums.txt says %s", name, sum, want)
		}
	}
	for name := range embedded {
		t.Errorf("checksums.txt: no line for %s", name)
	}
}

// The parameter count and vocabulary size of the weights' own header agree with metrics.json.
func TestWeightsAgreeWithMetrics(t *testing.T) {
	m := metrics(t)
	w := Weights()
	n := binary.LittleEndian.Uint64(w)
	var header map[string]struct {
		DType string
		Shape []int
	}
	if err := json.Unmarshal(w[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	parameters := 0
	for name, tensor := range header {
		if name == "__metadata__" {
			continue
		}
		if tensor.DType != "F16" {
			t.Errorf("%s: dtype %s, want F16", name, tensor.DType)
		}
		size := 1
		for _, d := range tensor.Shape {
			size *= d
		}
		parameters += size
	}
	if parameters != m.Parameters {
		t.Errorf("%d parameters, metrics.json says %d", parameters, m.Parameters)
	}
	if got, want := len(w), 8+int(n)+2*parameters; got != want {
		t.Errorf("weights: %d bytes, header and f16 data make %d", got, want)
	}
	if shape := header["emb.weight"].Shape; len(shape) != 2 || shape[0] != m.Config.Vocab || shape[1] != m.Config.NEmbd {
		t.Errorf("emb.weight %v, want [%d %d]", shape, m.Config.Vocab, m.Config.NEmbd)
	}
}

// Every id from 1 to the last has one line of the vocabulary, in order.
func TestVocabIsComplete(t *testing.T) {
	lines := bytes.Split(bytes.TrimSuffix(Vocab(), []byte("\n")), []byte("\n"))
	if want := metrics(t).Config.Vocab - 1; len(lines) != want {
		t.Fatalf("%d lines, want %d", len(lines), want)
	}
	for i, line := range lines {
		id, _, _ := strings.Cut(string(line), " ")
		if id != strconv.Itoa(i+1) {
			t.Fatalf("line %d has id %s", i+1, id)
		}
	}
}

// The model cards, which lie beside the weights, say what the models are.
func TestCardsNameTheModels(t *testing.T) {
	for name, card := range map[string]string{Name: "MODEL_CARD.md", DraftName: "DRAFT_CARD.md"} {
		if text, err := os.ReadFile(card); err != nil || name == "" || !strings.Contains(string(text), "RWKV-7") {
			t.Errorf("%s does not say what the model %q is (%v)", card, name, err)
		}
	}
}

// reference.json's rows cover reference.npy exactly, and its top five are the largest logits of each last row.
func TestReference(t *testing.T) {
	var ref struct {
		Prompts []struct {
			Prompt   string
			Tokens   []int
			Rows     [2]int
			LastTop5 [][2]float64 `json:"last_top5"`
			Greedy   []int        `json:"greedy_next_32"`
		}
	}
	if err := json.Unmarshal(read(t, "reference.json"), &ref); err != nil {
		t.Fatal(err)
	}
	shape, logits, err := parseNPY(read(t, "reference.npy"))
	if err != nil {
		t.Fatal(err)
	}
	vocab := metrics(t).Config.Vocab
	if len(shape) != 2 || shape[1] != vocab {
		t.Fatalf("reference.npy: shape %v, want [rows %d]", shape, vocab)
	}
	for i, x := range logits {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			t.Fatalf("reference.npy: value %d is %v", i, x)
		}
	}
	next := 0
	for _, p := range ref.Prompts {
		if p.Rows[0] != next || p.Rows[1]-p.Rows[0] != len(p.Tokens) {
			t.Errorf("%q: rows %v, want %d rows from %d", p.Prompt, p.Rows, len(p.Tokens), next)
		}
		next = p.Rows[1]
		last := logits[(next-1)*vocab : next*vocab]
		for rank, top := range p.LastTop5 {
			id, value := int(top[0]), top[1]
			if math.Abs(float64(last[id])-value) > 1e-4 {
				t.Errorf("%q: top %d: token %d has logit %v, reference.json says %v", p.Prompt, rank, id, last[id], value)
			}
			if larger := countAbove(last, last[id]); larger != rank {
				t.Errorf("%q: token %d has rank %d, reference.json says %d", p.Prompt, id, larger, rank)
			}
		}
		if p.Greedy[0] != int(p.LastTop5[0][0]) {
			t.Errorf("%q: greedy token %d, but the top is %v", p.Prompt, p.Greedy[0], p.LastTop5[0][0])
		}
	}
	if next != shape[0] {
		t.Errorf("reference.json covers %d rows, reference.npy has %d", next, shape[0])
	}
}

func countAbove(row []float32, x float32) (n int) {
	for _, y := range row {
		if y > x {
			n++
		}
	}
	return n
}

// parseNPY reads a version 1 .npy file of little-endian float32 in row-major order.
func parseNPY(data []byte) (shape []int, values []float32, err error) {
	const magic = "\x93NUMPY\x01\x00"
	if len(data) < 10 || string(data[:8]) != magic {
		return nil, nil, fmt.Errorf("npy: no version 1 header")
	}
	end := 10 + int(binary.LittleEndian.Uint16(data[8:]))
	if end > len(data) {
		return nil, nil, fmt.Errorf("npy: header of %d bytes in a file of %d", end, len(data))
	}
	header := string(data[10:end])
	if !strings.Contains(header, "'descr': '<f4'") || !strings.Contains(header, "'fortran_order': False") {
		return nil, nil, fmt.Errorf("npy: %s is not row-major <f4", strings.TrimSpace(header))
	}
	_, dims, _ := strings.Cut(header, "'shape': (")
	dims, _, _ = strings.Cut(dims, ")")
	size := 1
	for _, d := range strings.FieldsFunc(dims, func(r rune) bool { return r == ',' || r == ' ' }) {
		n, err := strconv.Atoi(d)
		if err != nil {
			return nil, nil, fmt.Errorf("npy: shape (%s): %w", dims, err)
		}
		shape = append(shape, n)
		size *= n
	}
	if len(data)-end != 4*size {
		return nil, nil, fmt.Errorf("npy: shape %v wants %d bytes, found %d", shape, 4*size, len(data)-end)
	}
	values = make([]float32, size)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[end+4*i:]))
	}
	return shape, values, nil
}

type trainingMetrics struct {
	Parameters int
	Config     struct {
		NEmbd int `json:"n_embd"`
		Vocab int
	}
}

func metrics(t *testing.T) (m trainingMetrics) {
	t.Helper()
	if err := json.Unmarshal(read(t, "metrics.json"), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
