package weights

import "github.com/rwkv-gpu/rwkv-gpu/model/tensor"

// nearest returns the name in tensors that takes the fewest edits to become name, or "" if none is close. Equal
// distances go to the name that sorts first. It gives up on inputs so large that the search would take noticeable
// time.
func nearest(name string, tensors map[string]*tensor.Tensor) string {
	const farthest, longest, most = 3, 64, 4096
	if len(name) > longest || len(tensors) > most {
		return ""
	}
	best, near := farthest+1, ""
	for n := range tensors {
		if len(n) > longest {
			continue
		}
		if d := edits(name, n); d < best || d == best && near != "" && n < near {
			best, near = d, n
		}
	}
	return near
}

// edits returns the Levenshtein distance between a and b in bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
