package cpu

import (
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

func openModel(tb testing.TB, m *model.Model, s op.Sizes) op.Executor {
	return open(tb, m.Program, s, 0)
}

func TestProperties(t *testing.T) { golden.Properties(t, openModel) }

func TestClosed(t *testing.T) { golden.Closed(t, openModel) }
