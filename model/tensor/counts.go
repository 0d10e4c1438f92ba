package tensor

import (
	"fmt"
	"slices"
	"strings"
)

// Counts is how many tensors are of each type.
type Counts map[Type]int

// String lists the types that occur, such as "3 F32, 12 F16".
func (c Counts) String() string {
	var kinds []string
	for _, t := range slices.Concat(Types, BlockTypes) {
		if n := c[t]; n > 0 {
			kinds = append(kinds, fmt.Sprintf("%d %s", n, t))
		}
	}
	return strings.Join(kinds, ", ")
}
