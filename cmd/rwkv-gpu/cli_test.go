package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// Tests neither see the user's vocabularies nor write to the user's cache. Only Mesa's drivers keep what they compile
// where they always do: to compile it anew takes minutes.
func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		tuningDefault = "off"
		main()
	}
	const mesa = "MESA_SHADER_CACHE_DIR"
	if user, err := os.UserCacheDir(); err == nil && os.Getenv(mesa) == "" {
		if err := os.Setenv(mesa, user); err != nil {
			panic(err)
		}
	}
	dir, err := os.MkdirTemp("", "rwkv-gpu-test")
	if err != nil {
		panic(err)
	}
	for _, name := range []string{"XDG_DATA_HOME", "XDG_CACHE_HOME"} {
		if err := os.Setenv(name, filepath.Join(dir, name)); err != nil {
			panic(err)
		}
	}
	tuningDefault = "off"
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

// answer is what one run of the command gave.
type answer struct {
	status         int
	stdout, stderr string
}

func (r answer) String() string {
	return fmt.Sprintf("status %d\nstdout: %.600q\nstderr: %.600q", r.status, r.stdout, r.stderr)
}

// cli runs the command line.
func cli(args ...string) answer { return cliWith(context.Background(), "", nil, args...) }

func cliWith(ctx context.Context, stdin string, stdout io.Writer, args ...string) answer {
	var out, errs bytes.Buffer
	if stdout == nil {
		stdout = &out
	}
	status := run(ctx, args, strings.NewReader(stdin), stdout, &errs)
	return answer{status, out.String(), errs.String()}
}

// cliJSON runs a command that must succeed with one JSON object of exactly the keys of v, which is filled.
func cliJSON(t *testing.T, v any, args ...string) {
	t.Helper()
	r := cli(append(args, "--json", "--quiet")...)
	if r.status != statusDone || r.stderr != "" {
		t.Fatalf("%q: %s", args, r)
	}
	decode(t, r.stdout, v)
}

func decode(t *testing.T, text string, v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatalf("%v in %.300q", err, text)
	}
	if _, err := d.Token(); err != io.EOF {
		t.Fatalf("more than one object: %.300q", text)
	}
}

// wantError checks status, the form of the one line, and that it holds each of the fragments.
func wantError(t *testing.T, r answer, status int, fragments ...string) {
	t.Helper()
	if r.status != status || !strings.HasPrefix(r.stderr, "rwkv-gpu: ") || strings.Count(r.stderr, "\n") != 1 || !strings.HasSuffix(r.stderr, "\n") {
		t.Errorf("want status %d and one line of error, got %s", status, r)
	}
	for _, f := range fragments {
		if !strings.Contains(r.stderr, f) {
			t.Errorf("want an error with %q, got %q", f, r.stderr)
		}
	}
}

// devices returns what to pass as --device: the CPU, and the Vulkan device under test if there is one.
func devices(t *testing.T, each func(t *testing.T, device string)) {
	t.Run("cpu", func(t *testing.T) { each(t, "cpu") })
	t.Run("gpu", func(t *testing.T) { each(t, vulkanDevice(t)) })
}

func vulkanDevice(t *testing.T) string {
	t.Helper()
	gputest.Instance(t)
	if name := os.Getenv("RWKV_DEVICE"); name != "" {
		return name
	}
	return "gpu"
}

// tinyModel writes a small model, changed by edit if there is one, and returns its path.
func tinyModel(t *testing.T, edit func(byName map[string]*tensor.Tensor)) string {
	t.Helper()
	list := weightstest.RWKV7(weightstest.Tiny, tensor.F32, 1)
	if edit != nil {
		byName := make(map[string]*tensor.Tensor)
		for _, x := range list {
			byName[x.Name] = x
		}
		edit(byName)
		for i := 0; i < len(list); i++ {
			if list[i] = byName[list[i].Name]; list[i] == nil {
				list = append(list[:i], list[i+1:]...)
				i--
			}
		}
	}
	return writeFile(t, "tiny.safetensors", weightstest.Safetensors(list, nil))
}

func writeFile(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
