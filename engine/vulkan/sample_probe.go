package vulkan

import "github.com/rwkv-gpu/rwkv-gpu/gpu"

// DrawFrom draws as one step of Decode does, from the given logits, float32[len(draws)][vocabulary], instead of those of the
// program, which it does not run: for tests, and to compare devices.
func (e *Exec) DrawFrom(draws []Draw, logits []float32) ([]uint32, error) {
	c, k, err := e.drawsAlone("draw from given logits", draws, 1)
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
	return e.decode.sampling.drawnIDs(k), nil
}

// drawsAlone records n steps of the draws without the program's between them.
func (e *Exec) drawsAlone(what string, draws []Draw, n int) (*gpu.Commands, decodeShape, error) {
	k, err := e.startDraws(draws, n)
	if err != nil {
		return nil, k, err
	}
	r := &recorder{Exec: e, rec: e.dev.NewRecording(), shape: shape{k.seqs, k.seqs, k.seqs}}
	r.rec.SetName(what)
	e.beginForward(r.rec)
	e.decode.sampling.upload(r.rec, k)
	for step := range n {
		if err := r.draw(k, step); err != nil {
			return nil, k, err
		}
	}
	e.decode.sampling.download(r.rec, k)
	c, err := r.rec.End()
	return c, k, err
}
