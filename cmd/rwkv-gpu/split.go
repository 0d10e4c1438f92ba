package main

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
)

// bySpeed is the value of --split without one.
const bySpeed = "speed"

const splitUsage = "divide the layers among the devices of --device, such as 0,1: by measured speed, or by `SHARES` such as 3:1"

// looksLikeShares is what --split takes as its value if it stands behind it, as with flags that always have one.
var looksLikeShares = regexp.MustCompile(`^(` + bySpeed + `|[0-9.]+(:[0-9.]+)+)$`)

// joinSplit returns args with the value of --split in one word with it: without one, it is a whole flag.
func joinSplit(args []string) []string {
	for i := 0; i+1 < len(args) && args[i] != "--"; i++ {
		if args[i] == "--split" && looksLikeShares.MatchString(args[i+1]) {
			args = slices.Concat(args[:i], []string{"--split=" + args[i+1]}, args[i+2:])
		}
	}
	return args
}

// splitAmong returns the devices that --device lists and their shares, nil for the measured speed. Without --split it
// returns none.
func (c *commonFlags) splitAmong() (specs []string, shares []float64, err error) {
	specs = strings.Split(c.device, ",")
	if c.split == "" {
		if len(specs) > 1 && !slices.ContainsFunc(specs, func(s string) bool { return !numbered(s) }) {
			return nil, nil, usagef("--device", "want --split too, to divide the layers among several devices, got %q alone", c.device)
		}
		return nil, nil, nil
	}
	for i := range specs {
		if specs[i] = strings.TrimSpace(specs[i]); specs[i] == "" || len(specs) < 2 {
			return nil, nil, usagef("--split", "want several devices, such as --device 0,1, got --device %q", c.device)
		}
	}
	if c.split == bySpeed {
		return specs, nil, nil
	}
	words := strings.Split(c.split, ":")
	for _, word := range words {
		share, err := strconv.ParseFloat(word, 64)
		if err != nil || !(share > 0) || math.IsInf(share, 0) {
			return nil, nil, usagef("--split", "want %s, or a share above 0 of each device, such as 3:1, got %q", bySpeed, c.split)
		}
		shares = append(shares, share)
	}
	if len(shares) != len(specs) {
		return nil, nil, usagef("--split", "want a share of each of %d devices, got %d in %q", len(specs), len(shares), c.split)
	}
	return specs, shares, nil
}

// numbered reports whether a word of --device is an index or a kind, and so no part of a name.
func numbered(spec string) bool {
	_, err := strconv.Atoi(strings.TrimSpace(spec))
	return err == nil || slices.Contains([]string{"auto", "gpu", "cpu"}, strings.TrimSpace(spec))
}

// oneDevice refuses --split for what looks at one device.
func (a *app) oneDevice() error {
	if a.common.split != "" {
		return usagef("--split", "want none: this command looks at one device")
	}
	return nil
}

// open opens the device or devices that spec names.
func (c *commonFlags) open(spec string, notice func(string)) (*device.Device, error) {
	specs, shares, err := c.splitAmong()
	if err != nil {
		return nil, err
	}
	if len(specs) > 0 {
		return device.OpenSplit(specs, shares, notice)
	}
	return device.Open(spec, notice)
}
