package main

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/rwkv-gpu/rwkv-gpu/bench"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/load"
)

// firstOfPeer is the length of the prompt of a comparison's whole processes without --first.
const firstOfPeer = "100"

// checkPeer verifies the flags of a comparison with a peer.
func (a *app) checkPeer(f *pflag.FlagSet, b *benchFlags) error {
	if f.Changed("peer") && b.peer == "" {
		return usagef("--peer", "want a llama-bench program, got an empty name")
	}
	if b.peer == "" {
		return nil
	}
	for _, name := range []string{"gen", "depth", "ops", "csv", "compare", "from", "plot", "lora", "vocab"} {
		if f.Changed(name) {
			return usagef("--peer", "want it without --%s, got both", name)
		}
	}
	switch {
	case a.common.model == "":
		return usagef("--peer", "want --model FILE, a GGUF file that both programs read, got none")
	case a.common.quant != load.AsStored:
		return usagef("--peer", "want weights as stored, which the peer reads too, got --quant %s; 'rwkv-gpu quantize' writes a file", a.common.quant)
	}
	if !f.Changed("first") {
		b.first = firstOfPeer
	}
	return a.checkFirst("--peer")
}

// versus compares this program with a peer, and shows it.
func (a *app) versus(ctx context.Context, b *benchFlags, o bench.Options) error {
	threads := device.Threads(a.common.threads)
	path, err := filepath.Abs(b.peer) // what has no folder would be looked for where commands are
	if err != nil {
		return inputf("--peer", "%w", err)
	}
	l := &bench.Llama{Path: path, Model: a.common.model, Threads: threads}
	if err := l.Check(o.Batches); err != nil {
		return peerFault(err)
	}
	d, err := a.openDevice(a.common.device)
	if err != nil {
		return err
	}
	l.CPU = d.IsCPU()
	name := d.Name()
	if err := d.Close(); err != nil {
		return err
	}
	m, err := a.openModel()
	if err != nil {
		return err
	}
	vocabulary := m.Vocab
	if err := m.Close(); err != nil {
		return err
	}
	p := a.stages(ctx)
	defer p.end()
	o.Progress = p.stage
	v, err := l.Against(ctx, &bench.VersusOptions{Options: o, Threads: threads, Version: buildVersion().Version, Device: name, Vocabulary: vocabulary,
		Generate: a.generateOne,
		Bench: func(pp, tg []int, batch int) (bench.Program, error) {
			return a.self("bench", "--json", "--repeat", "1", "--warmup", strconv.Itoa(o.Warmup), "--chunk", strconv.Itoa(o.Chunk),
				"--pp", bench.Numbers(pp), "--tg", bench.Numbers(tg), "--batch", strconv.Itoa(batch))
		}})
	if err != nil {
		return peerFault(a.ofPeer(b, err))
	}
	p.end()
	if w := v.Load.Warning(); w != "" {
		a.notice("%s", w)
	}
	switch {
	case a.common.json:
		return a.writeJSON(v)
	case b.markdown:
		return output(v.Markdown(a.stdout))
	}
	return output(v.Text(a.stdout))
}

// ofPeer tells errors of the peer's processes from those of this program's.
func (a *app) ofPeer(b *benchFlags, err error) error {
	var p *bench.ProcessError
	if own, _ := a.self("bench"); errors.As(err, &p) && p.Path == own.Path {
		return ownFault(err)
	}
	return err
}

// peerFault gives an error of a peer its exit status: the program, or the file for it, is not what is wanted.
func peerFault(err error) error {
	var about *bench.PeerError
	var ran *bench.ProcessError
	var f *failure
	switch {
	case errors.As(err, &f):
		return err
	case errors.As(err, &about), errors.As(err, &ran):
		return inputf("--peer", "%w", err)
	}
	return err
}
