package main

import (
	"errors"
	"strconv"
	"strings"
)

// size is a flag of so many bytes, with a letter for larger units.
type size int64

func (s *size) String() string { return strconv.FormatInt(int64(*s), 10) }

// Type names the values for messages.
func (*size) Type() string { return "bytes" }

// Set reads a number of bytes, such as 500M.
func (s *size) Set(text string) error {
	number, unit := strings.ToUpper(text), int64(1)
	number = strings.TrimSuffix(strings.TrimSuffix(number, "B"), "I")
	if i := strings.IndexAny(number, "KMGT"); i >= 0 && i == len(number)-1 {
		unit = int64(1) << (10 * (1 + strings.IndexByte("KMGT", number[i])))
		number = number[:i]
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > (1<<62)/unit {
		return errors.New("want a number of bytes such as 500M or 4G")
	}
	*s = size(n * unit)
	return nil
}
