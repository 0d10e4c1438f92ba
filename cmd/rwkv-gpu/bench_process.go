package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/bench"
	"github.com/rwkv-gpu/rwkv-gpu/load"
)

// self returns this program with a command, the flags of this run about the model and the device, and arguments.
func (a *app) self(command string, args ...string) (bench.Program, error) {
	path, err := os.Executable()
	if err != nil {
		return bench.Program{}, fmt.Errorf("want to start this program again: %w", err)
	}
	c := &a.common
	all := []string{command, "--device", c.device, "--quant", c.quant, "--tuning", c.tuning, "--quiet"}
	for _, f := range []struct{ flag, value string }{{"--model", c.model}, {"--vocab", c.vocab}, {"--precision", c.precision}, {"--split", c.split}} {
		if f.value != "" {
			all = append(all, f.flag, f.value)
		}
	}
	for _, l := range c.loras {
		all = append(all, "--lora", l)
	}
	if c.groupNormEps != 0 {
		all = append(all, "--group-norm-eps", strconv.FormatFloat(c.groupNormEps, 'g', -1, 64))
	}
	if c.threads != 0 {
		all = append(all, "--threads", strconv.Itoa(c.threads))
	}
	if c.exact {
		all = append(all, "--exact")
	}
	return bench.Program{Path: path, Args: append(all, args...)}, nil
}

// generateOne returns this program, which continues some tokens by one.
func (a *app) generateOne(tokens []int) (bench.Program, error) {
	ids := make([]string, len(tokens))
	for i, id := range tokens {
		ids[i] = strconv.Itoa(id)
	}
	return a.self("generate", "-n", "1", "--temperature", "0", "--tokens", strings.Join(ids, ","))
}

// checkFirst returns an error if a whole process would make up its model, which takes longer than to load one.
func (a *app) checkFirst(flag string) error {
	if strings.HasPrefix(a.common.model, load.SyntheticPrefix) {
		return usagef(flag, "want a model in a file, which 'rwkv-gpu convert FILE --model %s' writes, got %s", a.common.model, a.common.model)
	}
	return nil
}

// firstTokens measures whole processes of this program. vocabulary is the number of the model's tokens.
func (a *app) firstTokens(ctx context.Context, o *bench.Options, vocabulary int) ([]bench.First, error) {
	list, err := bench.FirstTokens(ctx, a.generateOne, vocabulary, o)
	return list, ownFault(err)
}

// ownFault gives an error of a process of this program that process's exit status, or that of a failed run if it has none.
func ownFault(err error) error {
	var p *bench.ProcessError
	if !errors.As(err, &p) {
		return err
	}
	line := strings.TrimPrefix(p.Line, "rwkv-gpu: ")
	if p.Status >= 0 {
		return &failure{p.Status, "", errors.New("a process of this program: " + line)}
	}
	if p.Ended != "" {
		line = p.Ended + ": " + line
	}
	return &failure{statusFailed, "", errors.New("a process of this program: " + line)}
}
