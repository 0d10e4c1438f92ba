package vulkan

import (
	"math/bits"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// A step of a pass is a dispatch or two, and is only divided by its tokens. So a pass takes no more of them than keep its
// longest step well below what systems allow a device.
const (
	longestStep = 2 * longestPart
	slowPace    = 10e9 // elements of matrices that one multiplies with in a second, if nothing is known of it: 20 GFLOPS
	guessedRows = 64   // that are taken for that alone, at most
)

// rowWork is how many elements a row is multiplied with: in all steps, and in the one with the most. Logits are of few rows.
type rowWork struct{ all, most float64 }

func rowWorkOf(prog *op.Program) (w rowWork) {
	for i := range prog.Steps {
		product, ok := prog.Steps[i].Op.(*op.MatMul)
		if !ok || product.Parts[0].X.Of.Kind != op.Row {
			continue
		}
		n := 0.0
		for j := range product.Parts {
			n += float64(product.Parts[j].W.Width)
		}
		w.all, w.most = w.all+n, max(w.most, n)
	}
	return w
}

// MostRows returns how many rows a pass should have at most. It follows from the largest pass so far, whose time grows with
// its rows in proportion at most; before there is one of some rows, from what a slow device may be expected to do. Fewer than all
// are a power of two: times vary, and each other number would be a shape to record.
func (e *Exec) MostRows() int {
	w := e.rowWork
	if w.most == 0 {
		return e.plan.Sizes.Rows
	}
	all, rows := float64(e.plan.Sizes.Rows), 1.0
	if k := e.known; k.rows > 0 {
		rows = max(rows, longestStep.Seconds()*float64(k.rows)/(max(k.took.Seconds(), 1e-9)*w.most/w.all))
	}
	if e.known.rows < guessedRows {
		guessed := longestStep.Seconds() * slowPace / w.most
		if guessed < all {
			guessed = min(guessed, guessedRows)
		}
		rows = max(rows, guessed)
	}
	if rows >= all {
		return e.plan.Sizes.Rows
	}
	return 1 << (bits.Len(uint(rows)) - 1)
}
