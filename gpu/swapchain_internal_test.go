package gpu

import (
	"errors"
	"strings"
	"testing"
)

// A picture that the window system shows although the window has changed a little is shown. Only a window that has
// changed so much that it shows nothing needs another swapchain.
func TestShownAllTheSame(t *testing.T) {
	var s Swapchain
	if err := s.check("vkQueuePresentKHR", resultSuboptimal); err != nil || s.stale {
		t.Errorf("suboptimal: %v, stale %t", err, s.stale)
	}
	if err := s.check("vkQueuePresentKHR", resultOutOfDate); !errors.Is(err, ErrStale) || !s.stale {
		t.Errorf("out of date: %v, stale %t", err, s.stale)
	}
}

// A device that shows no pictures in the window has its place in the list, and is not opened.
func TestNoPictures(t *testing.T) {
	in := &Instance{devices: []physical{{info: Info{Name: "blind", NoPictures: "none of its queues can"}}}}
	_, err := in.Device(0, DeviceOptions{})
	if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "blind") || !strings.Contains(err.Error(), "none of its queues can") {
		t.Errorf("%v", err)
	}
}
