package vulkan

import (
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/draw"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

// DrawFrom draws as one step of Decode does, but from the given logits, float32[len(draws)][vocabulary]. It does not
// run the program. Tests and comparisons of devices use it.
func (e *Prober) DrawFrom(draws []Draw, logits []float32) ([]uint32, error) {
	c, k, err := e.drawAlone(draws)
	if err != nil {
		return nil, err
	}
	defer c.Release()
	if err := e.Stage(&e.decode.batch); err != nil {
		return nil, err
	}
	if err := e.Write(e.prog.Logits, logits); err != nil {
		return nil, err
	}
	if err := c.Run(); err != nil {
		return nil, err
	}
	return e.decode.inputs.IDs(k), nil
}

// drawAlone records a step of the draws without the program's before it.
func (e *Prober) drawAlone(draws []Draw) (*gpu.Commands, draw.Shape, error) {
	k, err := e.decode.startDraws(draws, 1, false)
	if err != nil {
		return nil, k, err
	}
	rec := e.dev.NewRecording()
	rec.SetName("draw from given logits")
	r := &recorder{Recorder: e.env.Recorder(rec, shapeOfDraws(k), &e.memory.at), e: e.runner}
	e.beginForward(rec)
	e.decode.inputs.Upload(rec, k)
	if err := e.decode.draw(r, k, 0); err != nil {
		return nil, k, err
	}
	e.decode.inputs.Download(rec, k)
	c, err := rec.End()
	return c, k, err
}
