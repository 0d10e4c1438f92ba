package vulkan

import (
	"context"
	"errors"
	"math/bits"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/draw"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
)

// Draws says where tokens are drawn: on the device, by Decode, or on the host from Forward's logits. The ids are the
// same.
type Draws uint8

// The places. FasterDraws is whichever the tuner finds to be faster, for each number of sequences.
const (
	FasterDraws Draws = iota
	DeviceDraws
	HostDraws
)

// String returns the place's name.
func (d Draws) String() string { return [...]string{"faster", "device", "host"}[d] }

// onDevice reports whether the tokens of so many sequences should be drawn by Decode.
func (d *decoding) onDevice(seqs int) (bool, error) {
	if d.place != FasterDraws {
		return d.place == DeviceDraws, nil
	}
	class := bits.Len(uint(max(seqs, 1) - 1)) // numbers up to a power of two are alike
	if d.draws[class] == FasterDraws {
		s := d.plan.Sizes
		place, certain, err := d.chooseDraws(min(1<<class, s.Rows, s.Seqs, s.Outs), draw.LikelyLogits())
		if !certain {
			return place == DeviceDraws, err
		}
		d.draws[class] = place
	}
	return d.draws[class] == DeviceDraws, nil
}

// chooseDraws returns the place for draws that the tuner knows to be the faster, or measures now. If it cannot measure
// now, the place is the usual one and not certain. A trial draws from logits that logit makes. If the device cannot
// draw from them, the host draws, and says what is wrong with a pass's logits.
func (e *runner) chooseDraws(seqs int, logit func() float32) (d Draws, certain bool, err error) {
	c := draw.Choice(e.env, seqs)
	f, certain := e.tuner.Chosen(c)
	if !certain {
		err = e.tuner.Measure(context.Background(), c, func() (tune.Trial, error) { return draw.NewTrial(e.env, e.pace.expected, seqs, logit), nil })
		switch f, certain = e.tuner.Chosen(c); {
		case errors.Is(err, sample.ErrLogits):
			return HostDraws, true, nil
		case tune.Refused(err):
			certain, err = true, nil
		}
	}
	if f == draw.OnHost {
		return HostDraws, certain, err
	}
	return DeviceDraws, certain, err
}
