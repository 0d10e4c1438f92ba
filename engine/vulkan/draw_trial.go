package vulkan

import (
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Draws says where tokens are drawn: on the device, by Decode, or on the host from Forward's logits. The ids are the same.
type Draws uint8

// The places. FasterDraws is whichever the tuner finds to be faster, for each number of sequences.
const (
	FasterDraws Draws = iota
	DeviceDraws
	HostDraws
)

// String returns the place's name.
func (d Draws) String() string { return [...]string{"faster", "device", "host"}[d] }

// largeVocabulary is the number of ids from which a device that is a processor, and that nobody has measured, leaves the
// draw to the host: its lanes' shared sums are emulated, and the logits are in the host's memory anyway.
const largeVocabulary = 1024

// DrawsOnDevice tells whether the tokens of so many sequences should be drawn by Decode.
func (e *Exec) DrawsOnDevice(seqs int) (bool, error) {
	if e.draws != FasterDraws {
		return e.draws == DeviceDraws, nil
	}
	class := bits.Len(uint(max(seqs, 1) - 1)) // numbers up to a power of two are alike
	chosen := &e.decode.draws[class]
	if *chosen != FasterDraws {
		return *chosen == DeviceDraws, nil
	}
	s := e.plan.Sizes
	d, certain, err := e.chooseDraws(min(1<<class, s.Rows, s.Seqs, s.Outs), likelyLogits())
	if certain {
		*chosen = d
	}
	return d == DeviceDraws, err
}

// chooseDraws returns the place that was found, that is now measured to be faster, or that is usual, which is not certain
// where measuring has to wait. A device on which a trial's logits, which logit makes, cannot be drawn from leaves draws to the
// host, which then says what is wrong with those of a pass.
func (e *Exec) chooseDraws(seqs int, logit func() float32) (d Draws, certain bool, err error) {
	usual, t := DeviceDraws, e.tuner
	if e.kernels.shape.CPU && e.prog.Vocab >= largeVocabulary {
		usual = HostDraws
	}
	if t == nil {
		return usual, true, nil
	}
	key := e.on + fmt.Sprintf("draws of %d ids, %d sequences", e.prog.Vocab, seqs)
	measure := func(time.Time) error {
		device, host, err := e.timeDraws(seqs, logit)
		if err != nil {
			return err
		}
		best, took := faster(device, host)
		t.take(key, tuned{Kernel: best.String(), Micros: int(took.Microseconds())})
		return nil
	}
	if found, ok := t.found[key]; !ok || found.Kernel != DeviceDraws.String() && found.Kernel != HostDraws.String() {
		switch ok, err := t.measured(e.Device(), few, measure); {
		case errors.Is(err, sample.ErrLogits):
			return HostDraws, true, nil
		case refused(err):
			return usual, true, nil
		case !ok || err != nil:
			return usual, false, err
		}
	}
	if t.found[key].Kernel == HostDraws.String() {
		return HostDraws, true, nil
	}
	return DeviceDraws, true, nil
}

// faster returns the faster place: the device, which needs the host less, if the host is not clearly so.
func faster(device, host time.Duration) (Draws, time.Duration) {
	if clearly(host, device) {
		return HostDraws, host
	}
	return DeviceDraws, device
}

// trialDraws are measured in one submission: a model that takes so much longer for a token than a submission itself does
// that fewer fit would not notice the difference.
const trialDraws = 8

// likelyLogits makes numbers such as a model's logits.
func likelyLogits() func() float32 {
	rng := rand.New(rand.NewPCG(3, 5))
	return func() float32 { return float32(3 * rng.NormFloat64()) }
}

// timeDraws returns what it takes for a token of each sequence to be drawn on the device, and to be drawn on the host with
// a submission of its own and the way of the logits there. It works in the scratch.
func (e *Exec) timeDraws(seqs int, logit func() float32) (device, host time.Duration, err error) {
	l := e.prog.Logits
	at := e.scratch.Range(4*e.plan.Offset[l.ID], 4*seqs*l.Stride())
	logits := make([]float32, seqs*l.Stride())
	for i := range logits {
		logits[i] = logit()
	}
	data := make([]byte, at.Size)
	tensor.F32.Encode(data, logits)
	if err := e.dev.Upload(at, data); err != nil {
		return 0, 0, err
	}
	draws := make([]Draw, seqs)
	for i := range draws {
		p := sample.Default()
		p.Seed = uint64(i)
		s, err := sample.New(p, sample.NewVocabulary(e.prog.Vocab, nil))
		if err != nil {
			return 0, 0, err
		}
		draws[i] = Draw{Slot: i, Sampler: s}
	}
	if device, err = e.timeDeviceDraws(draws); err != nil {
		return 0, 0, err
	}
	host, err = e.timeHostDraws(draws)
	return device, host, err
}

func (e *Exec) timeDeviceDraws(draws []Draw) (time.Duration, error) {
	c, _, err := e.drawsAlone("tuning trial of draws on the device", draws, trialDraws)
	if err != nil {
		return 0, err
	}
	defer c.Release()
	if err := c.Run(); err != nil { // drivers may put off making a kernel until it runs
		return 0, err
	}
	best, err := shortest(c)
	return best / trialDraws, err
}

func (e *Exec) timeHostDraws(draws []Draw) (best time.Duration, err error) {
	rec := e.dev.NewRecording()
	rec.SetName("tuning trial of draws on the host")
	e.copyLogits(rec, len(draws))
	c, err := rec.End()
	if err != nil {
		return 0, err
	}
	defer c.Release()
	for i := range trialRuns {
		start := time.Now()
		if err := c.Run(); err != nil {
			return 0, err
		}
		for j := range draws {
			if _, err := draws[j].Sampler.Sample(e.Logits(j)); err != nil {
				return 0, err
			}
		}
		if d := time.Since(start); i == 0 || d < best {
			best = d
		}
	}
	return best, nil
}
