package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// Devices are found by index and by a part of their name in any case; what finds none names them all.
func TestChooseDevice(t *testing.T) {
	infos := []gpu.Info{{Index: 0, Name: "Software", Type: gpu.CPU}, {Index: 1, Name: "Big GPU 3"}, {Index: 2, Name: "Big GPU 4"}}
	best := gpu.Pick(infos)
	for spec, want := range map[string]int{"auto": best, "": best, "gpu": best, "0": 0, "2": 2, "soft": 0, "BIG": 1, "gpu 4": 2} {
		if got, err := choose(infos, spec); err != nil || got != want {
			t.Errorf("%q: device %d (%v), want %d", spec, got, err, want)
		}
	}
	for _, spec := range []string{"3", "-1", "nvidia", "1 "} {
		_, err := choose(infos, spec)
		var d *DeviceError
		if !errors.As(err, &d) || !strings.Contains(err.Error(), spec) || !strings.Contains(err.Error(), `1 "Big GPU 3"`) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", spec, err)
		}
	}
}

func TestOpenDevice(t *testing.T) {
	none := func(s string) { t.Errorf("notice %q", s) }
	d, err := OpenDevice("cpu", none)
	if err != nil || !d.IsCPU() || d.Close() != nil {
		t.Fatalf("cpu: %v", err)
	}
	gputest.Instance(t) // the rest needs a Vulkan device
	infos, err := Devices()
	if err != nil || len(infos) == 0 {
		t.Fatalf("devices: %v", err)
	}
	for _, spec := range []string{"auto", "", "gpu", fmt.Sprint(infos[0].Index), infos[0].Name} {
		d, err := OpenDevice(spec, none)
		if err != nil || d.IsCPU() {
			t.Fatalf("%q: %v", spec, err)
		}
		if err := d.Close(); err != nil {
			t.Errorf("%q: %v", spec, err)
		}
	}
	var e *DeviceError
	if _, err := OpenDevice("no such device", none); !errors.As(err, &e) || !strings.Contains(err.Error(), infos[0].Name) {
		t.Errorf("a device that is not there: %v", err)
	}
}

// Where there is no Vulkan, "auto" is the CPU, whether anybody wants to be told or not.
func TestOpenDeviceWithoutVulkan(t *testing.T) {
	t.Setenv("RWKV_VULKAN_LOADER", "/nonexistent")
	var told []string
	for _, notice := range []func(string){nil, func(s string) { told = append(told, s) }} {
		if d, err := OpenDevice("auto", notice); err != nil || !d.IsCPU() {
			t.Errorf("%v", err)
		}
	}
	if len(told) != 1 || !strings.Contains(told[0], "running on the CPU") {
		t.Errorf("told %q", told)
	}
}

// Errors of a device's executor are the device's; errors of the model and of the caller are not.
func TestFault(t *testing.T) {
	d := vulkanDevice(t)
	var e *DeviceError
	for _, err := range []error{&gpu.Error{Call: "vkQueueSubmit", Result: -4}, fmt.Errorf("x: %w", gpu.ErrOutOfMemory),
		fmt.Errorf("x: %w", errors.Join(errors.New("y"), &gpu.HangError{What: "z"})), gpu.Unsupportedf("x"), &gpu.Error{Call: "vkX", Result: -1}} {
		if got := d.fault(err); !errors.As(got, &e) || !errors.Is(got, err) {
			t.Errorf("%v became %v", err, got)
		}
	}
	for _, err := range []error{&op.NotFiniteError{Tensor: "x"}, &weights.Error{File: "f"}, context.Canceled, errors.New("the caller's"), op.ErrClosed} {
		if got := d.fault(fmt.Errorf("x: %w", err)); errors.As(got, &e) {
			t.Errorf("%v became the device's", err)
		}
	}
}

// An error by which the caller ends the loading of weights comes back as it is.
func TestProgressError(t *testing.T) {
	m, mine := golden.Tiny(t), errors.New("mine")
	eachDevice(t, func(t *testing.T, d *Device) {
		e, err := New(m, d, Options{Progress: func(int64, int64) error { return mine }})
		var device *DeviceError
		if e != nil || !errors.Is(err, mine) || errors.As(err, &device) {
			t.Errorf("want the caller's error, got %v", err)
		}
	})
}

// An engine that was closed refuses, on either device.
func TestClosedEngine(t *testing.T) {
	m := golden.Tiny(t)
	eachDevice(t, func(t *testing.T, d *Device) {
		e := newEngine(t, m, d, Options{})
		s := newSeq(t, e)
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		for name, err := range map[string]error{"Pass": e.Pass(t.Context(), []Row{{Seq: s, Tokens: []int{1}}}),
			"Burst": second(e.Burst(t.Context(), []Continuation{{Seq: s}}, 1, nil)), "NewSeq": second(e.NewSeq(nil)), "Fork": second(e.Fork(s)),
			"Save": second(e.Save([]*Seq{s}, nil)), "Restore": second(e.Restore([]*Seq{s}, nil)), "Reopen": e.Reopen(t.Context()), "Generate": second(e.Generate(t.Context(), s, demoTokenizer(t), Request{Prompt: []int{1}, Max: 1}))} {
			if !errors.Is(err, ErrClosed) || !strings.Contains(err.Error(), "closed") {
				t.Errorf("%s: %v", name, err)
			}
		}
		s.Release()
		if err := e.Close(); err != nil {
			t.Errorf("closed again: %v", err)
		}
	})
}
