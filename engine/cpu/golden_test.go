package cpu

import (
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
)

func TestGolden(t *testing.T) { golden.Run(t, false, openModel) }

func TestLlamaCpp(t *testing.T) { golden.RunLlamaCpp(t, openModel) }

func TestRWKVCpp(t *testing.T) {
	golden.RunRWKVCpp(t, false, func(string) bool { return true }, openModel)
}

func TestBig(t *testing.T) { golden.RunBig(t, false, openModel) }

func TestField(t *testing.T) { golden.RunField(t, openModel) }

func TestEpsilons(t *testing.T) { golden.RunEpsilons(t, openModel) }

func TestFormats(t *testing.T) { golden.Formats(t, true, openModel) }
