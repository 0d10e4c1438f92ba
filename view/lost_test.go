//go:build view

package view

import (
	"context"
	"image"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest/faultvk"
)

// lostEnv makes the test play in this process, whose Vulkan loader loses devices; without it the test starts that process.
const lostEnv = "RWKV_TEST_WINDOW_LOST"

// A device that is lost while the window shows pictures, in a pass or in a picture, is opened anew. The window goes on
// with new pictures, and the text is that of a run without it.
func TestWindowLost(t *testing.T) {
	if os.Getenv(lostEnv) != "" {
		playLost(t)
		return
	}
	if os.Getenv("DISPLAY")+os.Getenv("WAYLAND_DISPLAY") == "" && !displayed() {
		t.Skip("no display")
	}
	ctl := faultvk.New(t)
	c := exec.Command(os.Args[0], "-test.run=^TestWindowLost$", "-test.v")
	c.Env = append(append(os.Environ(), ctl.Env()...), lostEnv+"=1")
	out, err := c.CombinedOutput()
	if strings.Contains(string(out), "--- SKIP") {
		t.Skip(string(out))
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: TestWindowLost") {
		t.Errorf("%v\n%s", err, out)
	}
}

// playLost plays once without a fault, and then with devices that are lost at several submissions.
func playLost(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctl, err := faultvk.Open()
	if err != nil {
		t.Fatal(err)
	}
	const tokens = 40
	play := func(at ...int) (ids []int, pictures int, reopened int) {
		t.Helper()
		o := open(t, 800, 600)
		defer o.close(t)
		options := o.options(t, tokens)
		lost := 0 // how many faults began
		var taken *image.RGBA
		options.each = func(s *show) {
			pictures++
			now := s.p.Now()
			if lost < len(at) && s.frames > 2 && o.e.Stats().Reopened == lost {
				if err := ctl.Begin(faultvk.Fault{Function: "vkQueueSubmit", At: at[lost], Result: faultvk.DeviceLost}); err != nil {
					t.Fatal(err)
				}
				lost++
				s.o.Frames = s.frames + 8
			}
			ids = ids[:0]
			for _, k := range now.Tokens {
				ids = append(ids, k.ID)
			}
			if lost > o.e.Stats().Reopened { // until it is opened anew
				s.o.Frames = s.frames + 8
			}
		}
		options.Frames = 8
		options.Take = func(img *image.RGBA) error { taken = img; return nil }
		if err := Show(context.Background(), o.w, o.e, o.tok, options); err != nil {
			t.Errorf("lost at %v: %v", at, err)
		}
		if taken == nil || taken.Rect.Dx() != 800 {
			t.Errorf("lost at %v: no picture at the end", at)
		}
		return slices.Clone(ids), pictures, o.e.Stats().Reopened
	}
	want, _, _ := play()
	if len(want) < tokens {
		t.Fatalf("%d tokens", len(want))
	}
	got, pictures, reopened := play(1, 2, 3) // passes and pictures take turns
	if !slices.Equal(got, want) || reopened != 3 || pictures < 8 {
		t.Errorf("opened anew %d times, %d pictures\nwant %v\ngot  %v", reopened, pictures, want, got)
	}
}
