package bench

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

// made is a report of made-up figures: three batches, two depths.
func made() *Report {
	host, allocs, other, draw, ms := 12.5, 0.0, 0.25, 310.0, 187.5
	r := &Report{Device: "D|1", Driver: "X", Model: "M", Quant: "none", Roofline: Roofline{30, 1 << 20, 170}, Load: Load{Cores: 2, OtherCPU: &other, Busy: true}}
	for _, depth := range []int{0, 1000} {
		for _, batch := range []int{1, 2, 8} {
			pp := ratesOf([]float64{150, 152, 151, 149, 153})
			tg := ratesOf([]float64{20 * float64(batch), 21 * float64(batch), 22 * float64(batch), 20.5 * float64(batch), 21.5 * float64(batch)})
			r.Results = append(r.Results,
				Result{Test: "pp512", Batch: batch, Depth: depth, Rates: pp, GBPerS: 0.4, GFLOPS: 45, OfLimit: 45. / 170, Bound: "fma", OtherCPU: &other},
				Result{Test: "tg32", Batch: batch, Depth: depth, Rates: tg, GBPerS: 6, GFLOPS: 6 * float64(batch), OfLimit: 0.2, Bound: "read",
					HostUS: &host, Allocs: &allocs, DrawnOn: "host", DrawUS: &draw, SubmissionMS: &ms, DeviceBytes: 1 << 20})
		}
	}
	r.Ops = []OpTime{{Test: "tg1", Batch: 1, Op: "head", Count: 1, US: 100, Share: 1, GBPerS: 20, GFLOPS: 20, OfLimit: 0.7},
		{Test: "tg1", Batch: 1, Op: "shift", Count: 1, GBPerS: 2}}
	return r
}

// scaled returns samples times a factor.
func scaled(samples []float64, factor float64) Rates {
	list := slices.Clone(samples)
	for i := range list {
		list[i] *= factor
	}
	return ratesOf(list)
}

func TestCompare(t *testing.T) {
	now, old := made(), made()
	old.Device = "E"
	old.Results = old.Results[:5] // depth 0 but for one
	old.Results[0].Rates = scaled(old.Results[0].Rates.Samples, 0.9)
	old.Results[1].Rates = scaled(old.Results[1].Rates.Samples, 1.2)
	old.Results[2].Rates = scaled(old.Results[2].Rates.Samples, 1.001)
	old.Results[3].Rates = scaled(old.Results[3].Rates.Samples[:1], 2)
	old.Results = append(old.Results, Result{Test: "pp7", Batch: 1, Rates: ratesOf([]float64{1}), GBPerS: 1, GFLOPS: 1})
	differences, err := now.CompareWith(old)
	if err != nil || len(differences) != 1 || differences[0] != `device: "D|1", was "E"` {
		t.Error(differences, err)
	}
	want := []string{Faster, Slower, Same, Unsure, Same}
	if len(now.Compare) != len(want) {
		t.Fatalf("%+v", now.Compare)
	}
	for i, c := range now.Compare {
		if c.Verdict != want[i] || c.Test != now.Results[i].Test || !near(c.Ratio, c.New/c.Old) {
			t.Errorf("%d: want %s, got %+v", i, want[i], c)
		}
	}
	if c := now.Compare[0]; !near(c.Ratio, 1/0.9) || !near(c.P, 2./252) {
		t.Errorf("%+v", c)
	}
	old.Results = old.Results[5:]
	if _, err := now.CompareWith(old); err == nil || !strings.Contains(err.Error(), "pp512 batch 1 depth 0") {
		t.Error(err)
	}
}

// What is written as JSON is read back the same; what is not such a report is refused.
func TestRead(t *testing.T) {
	r := made()
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(r); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	back, err := Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := json.Marshal(back)
	if string(again)+"\n" != text {
		t.Errorf("want %s, got %s", text, again)
	}
	for bad, want := range map[string]string{
		"":              "want the JSON",
		"{}":            "no results",
		`{"results":3}`: "want the JSON",
		strings.Replace(text, `"tg32","batch":2`, `"tg32","batch":1`, 1):            "twice",
		strings.Replace(text, `"samples":[150,`, `"samples":[0,`, 1):                "positive",
		strings.Replace(text, `"samples":[150,152,151,149,153]`, `"samples":[]`, 1): "samples",
		strings.Replace(text, `"read_gb_per_s":30`, `"read_gb_per_s":0`, 1):         "limits",
	} {
		if _, err := Read(strings.NewReader(bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: want %q, got %v", bad, want, err)
		}
	}
}

func TestCSV(t *testing.T) {
	r := made()
	var b bytes.Buffer
	if err := r.CSV(&b); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll() // wants as many fields in each
	if err != nil || len(rows) != 1+len(r.Results) {
		t.Fatal(err, len(rows))
	}
	column := func(row int, name string) string { return rows[row][slices.Index(rows[0], name)] }
	if v, err := strconv.ParseFloat(column(4, "tokens_per_s"), 64); err != nil || v != r.Results[3].Rates.Median || column(4, "test") != "tg32" ||
		column(4, "host_us_per_token") != "12.5" || column(1, "host_us_per_token") != "" || column(4, "drawn_on") != "host" ||
		column(4, "draw_us_per_token") != "310" || column(4, "longest_submission_ms") != "187.5" || column(1, "drawn_on") != "" || column(1, "device") != "D|1" {
		t.Error(rows[4])
	}
}

func TestMarkdown(t *testing.T) {
	r := made()
	if _, err := r.CompareWith(made()); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := r.Markdown(&b); err != nil {
		t.Fatal(err)
	}
	var widths []int
	tables := 0
	for line := range strings.Lines(b.String()) {
		cells := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|") - 1
		if strings.HasPrefix(line, "|---") {
			tables++
		}
		if strings.HasPrefix(line, "|") {
			widths = append(widths, cells)
		}
	}
	head := slices.Index(widths, 9)
	if tables != 3 || len(widths) != (2+len(r.Results))+(2+len(r.Ops))+(2+len(r.Compare)) || head != 2+len(r.Results) || widths[0] != 16 || widths[len(widths)-1] != 8 {
		t.Errorf("%d tables with rows of %v cells:\n%s", tables, widths, &b)
	}
	b.Reset()
	if err := r.Text(&b); err != nil || !strings.Contains(b.String(), "tg32   8      1000   168") ||
		!strings.Contains(b.String(), "host, 310 µs  188 ms") || strings.Count(b.String(), "\n\n") != 3 {
		t.Errorf("%v\n%s", err, &b)
	}
	broken := errors.New("broken")
	for _, write := range []func(io.Writer) error{r.Text, r.Markdown, r.CSV} {
		if err := write(failing{broken}); !errors.Is(err, broken) {
			t.Error(err)
		}
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// Pictures are well-formed, not empty, and only of what was measured.
// A title keeps its words, in lines that fit a picture.
func TestWrapped(t *testing.T) {
	for _, s := range []string{"", "word", "llvmpipe (LLVM 15.0.6, 256 bits)", strings.Repeat("ranks a 64 ", 30),
		strings.Repeat("x", 79) + " y z", strings.Repeat("é", 78) + " y z", "a " + strings.Repeat("x", 200) + " b"} {
		got := wrapped(s)
		if !slices.Equal(strings.Fields(got), strings.Fields(s)) {
			t.Errorf("%q became %q", s, got)
		}
		lines := strings.Split(got, "\n")
		for i, line := range lines {
			if n := utf8.RuneCountInString(line); n > titleWidth && strings.Contains(line, " ") {
				t.Errorf("%q: a line of %d characters", s, n)
			}
			if i == 0 {
				continue
			}
			if next, _, _ := strings.Cut(line, " "); utf8.RuneCountInString(lines[i-1]+" "+next) <= titleWidth {
				t.Errorf("%q: a line that could be longer: %q", s, lines[i-1])
			}
		}
	}
}

func TestPlot(t *testing.T) {
	reference.Sequential(t)
	dir := t.TempDir()
	names, err := made().Plot(filepath.Join(dir, "all.svg"))
	if err != nil || len(names) != 6 {
		t.Fatal(names, err)
	}
	for i, want := range []struct {
		name, below string
		series      []string
		also        []string
	}{
		{"decode-roofline", "operations for each byte read",
			[]string{"decode of 32 tokens, one sequence", "decode of 32 tokens, 2 sequences at once", "decode of 32 tokens, 8 sequences at once", "ops of a step, one sequence"},
			[]string{"slope: reads, 30.0 GB/s", "level: multiply-adds, 170 GFLOPS"}},
		{"decode-batch", "sequences at once", []string{"decode of 32 tokens", "decode of 32 tokens, after 1000 tokens"}, nil},
		{"decode-depth", "tokens behind each sequence", []string{"decode of 32 tokens, one sequence", "decode of 32 tokens, 8 sequences at once"}, []string{"1000"}},
		{"prefill-roofline", "operations for each byte read", []string{"prefill of 512 tokens, one sequence"}, []string{"slope: reads, 30.0 GB/s"}},
		{"prefill-batch", "sequences at once", []string{"prefill of 512 tokens"}, nil},
		{"prefill-depth", "tokens behind each sequence", []string{"prefill of 512 tokens, 2 sequences at once"}, nil},
	} {
		if filepath.Base(names[i]) != "all-"+want.name+".svg" {
			t.Errorf("want %s, got %s", want.name, names[i])
		}
		shapes, words := svg(t, names[i])
		if shapes < 20 || len(words) < 10 {
			t.Errorf("%s: %d shapes, %v", want.name, shapes, words)
		}
		// The legend is below the words of the axis, so it covers nothing.
		for _, series := range want.series {
			if y, ok := words[series]; !ok || y >= words[want.below] || y < 0 {
				t.Errorf("%s: want %q below %q, got %v", want.name, series, want.below, words)
			}
		}
		for _, w := range want.also {
			if y := words[w]; y <= words[want.below] {
				t.Errorf("%s: want %q, got %v", want.name, w, words)
			}
		}
	}
	one := made()
	one.Results = one.Results[:2]
	if names, err = one.Plot(filepath.Join(dir, "one.svg")); err != nil || len(names) != 2 || !strings.HasSuffix(names[1], "one-prefill-roofline.svg") {
		t.Error(names, err)
	}
	one.Results, one.Ops = []Result{{Test: "gen8", Batch: 1, Rates: ratesOf([]float64{1}), GBPerS: 1, GFLOPS: 1}}, nil
	if names, err = one.Plot(filepath.Join(dir, "gen.svg")); err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	if _, words := svg(t, names[0]); words["drawn text of 8 tokens, one sequence"] <= 0 {
		t.Error(words)
	}
	if names, err = made().Plot(filepath.Join(dir, "all.png")); err != nil || len(names) != 6 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(f)
		_ = f.Close()
		if err != nil {
			t.Fatal(name, err)
		}
		colours := map[[3]uint32]int{}
		for y := range img.Bounds().Dy() {
			for x := range img.Bounds().Dx() {
				r, g, b, _ := img.At(x, y).RGBA()
				colours[[3]uint32{r, g, b}]++
			}
		}
		if len(colours) < 10 || img.Bounds().Dx() < 800 {
			t.Errorf("%s: %v, %d colours", name, img.Bounds(), len(colours))
		}
	}
	if _, err := made().Plot(filepath.Join(dir, "all.pdf")); err == nil {
		t.Error("pdf: no error")
	}
	var about *PlotError
	if _, err := made().Plot(filepath.Join(dir, "none", "all.svg")); !errors.Is(err, os.ErrNotExist) || !errors.As(err, &about) || about.File != filepath.Join(dir, "none", "all-decode-roofline.svg") {
		t.Error(err)
	}
}

// svg counts what is drawn in a file, and returns what is written in it with its height above the lower edge.
func svg(t *testing.T, name string) (shapes int, words map[string]float64) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(bytes.NewReader(data))
	root, at := "", math.NaN()
	words = map[string]float64{}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if text, ok := token.(xml.CharData); ok && !math.IsNaN(at) {
			words[strings.TrimSpace(string(text))] = at
			at = math.NaN()
		}
		if e, ok := token.(xml.StartElement); ok {
			switch e.Name.Local {
			case "path":
				shapes++
			case "text":
				for _, a := range e.Attr {
					if y, err := strconv.ParseFloat(a.Value, 64); a.Name.Local == "y" && err == nil {
						at = -y // the text is turned over
					}
				}
			case "svg":
				root = e.Name.Space
			}
		}
	}
	if root != "http://www.w3.org/2000/svg" {
		t.Errorf("%s: the root is of %q", name, root)
	}
	return shapes, words
}
