package opcase

import (
	"math"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// oracle does every op in float64, straight from the formulas in package op, with no thought of speed.
type oracle struct {
	s    *Setup
	vals map[int][][]float64 // by operand ID: a vector for each row, sequence, out or slot; one for a weight
}

func newOracle(s *Setup) *oracle {
	r := &oracle{s: s, vals: make(map[int][][]float64)}
	for _, o := range s.Prog.Operands {
		n := s.batch.Count(o.Kind)
		if o.Kind == op.State {
			n = s.Sizes.Slots
		}
		list := make([][]float64, n)
		for i := range list {
			list[i] = make([]float64, o.Width)
		}
		if o.Kind == op.Weight {
			f, err := o.Source.Floats()
			if err != nil {
				panic(err) // test data in memory
			}
			for i, v := range f {
				list[0][i] = float64(v)
			}
		}
		r.vals[o.ID] = list
	}
	return r
}

// fill gives an operand random values and returns them.
func (r *oracle) fill(o *op.Operand, value func() float32) []float32 {
	var flat []float32
	for _, vec := range r.vals[o.ID] {
		for i := range vec {
			f := value()
			vec[i] = float64(f)
			flat = append(flat, f)
		}
	}
	return flat
}

// flat returns an operand's vectors one after the other.
func (r *oracle) flat(o *op.Operand) []float64 {
	var flat []float64
	for _, vec := range r.vals[o.ID] {
		flat = append(flat, vec...)
	}
	return flat
}

func (r *oracle) at(v op.View, i int) []float64 { return r.vals[v.Of.ID][i][v.Off : v.Off+v.Len] }

func (r *oracle) weight(o *op.Operand) []float64 { return r.vals[o.ID][0] }

func (r *oracle) norm(x []float64, w, b *op.Operand, eps float32) []float64 {
	return normalise(x, r.weight(w), r.weight(b), float64(eps))
}

func normalise(x, w, b []float64, eps float64) []float64 {
	var mean, variance float64
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(len(x))
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = (v-mean)/math.Sqrt(variance+eps)*w[i] + b[i]
	}
	return y
}

func (r *oracle) Embed(o *op.Embed) error {
	c := o.Y.Width
	for t, token := range r.s.batch.Tokens {
		y := r.weight(o.Table)[int(token)*c:][:c]
		if o.NormW != nil {
			y = r.norm(y, o.NormW, o.NormB, o.Eps)
		}
		copy(r.vals[o.Y.ID][t], y)
	}
	return nil
}

func (r *oracle) LayerNorm(o *op.LayerNorm) error {
	for i, row := range r.s.batch.Outs {
		copy(r.vals[o.Y.ID][i], r.norm(r.vals[o.X.ID][row], o.NormW, o.NormB, o.Eps))
	}
	return nil
}

func (r *oracle) ShiftMix(o *op.ShiftMix) error {
	for s, q := range r.s.batch.Seqs {
		prev := r.vals[o.State.ID][q.Slot][o.StateOff:][:o.X.Width]
		for t := q.Start; t < q.Start+q.Len; t++ {
			now := r.norm(r.vals[o.X.ID][t], o.NormW, o.NormB, o.Eps)
			for i, m := range o.Mix {
				for j, c := range r.weight(m) {
					r.at(o.Mixed(i), int(t))[j] = now[j]*(1-c) + prev[j]*c
				}
			}
			prev = now
		}
		copy(r.vals[o.Last.ID][s][o.StateOff:], prev)
	}
	return nil
}

func (r *oracle) ShiftCommit(o *op.ShiftCommit) error {
	for s, q := range r.s.batch.Seqs {
		copy(r.vals[o.State.ID][q.Slot], r.vals[o.Last.ID][s])
	}
	return nil
}

func (r *oracle) MatMul(o *op.MatMul) error {
	for i := range o.Parts {
		p := &o.Parts[i]
		w := r.weight(p.W)
		for t := range r.s.batch.Count(p.X.Of.Kind) {
			x, y := r.at(p.X, t), r.at(p.Y, t)
			for m := range y {
				var z float64
				for k, v := range x {
					z += w[m*len(x)+k] * v
				}
				if p.Scale != 0 {
					z *= float64(p.Scale)
				}
				if p.Bias != nil {
					z += r.weight(p.Bias)[m]
				}
				z = activation(p.Act, z)
				switch p.Combine {
				case op.Set:
					y[m] = z
				case op.Add:
					y[m] = r.at(p.From, t)[m] + z
				case op.Lerp:
					y[m] = (1-z)*r.at(p.From, t)[m] + z*r.at(p.To, t)[m]
				case op.Gate:
					y[m] = r.at(p.From, t)[m] + z*r.at(p.To, t)[m]
				case op.Mul:
					y[m] = z * r.at(p.From, t)[m]
				}
			}
		}
	}
	return nil
}

func activation(a op.Act, z float64) float64 {
	switch a {
	case op.Tanh:
		return math.Tanh(z)
	case op.Sigmoid:
		return 1 / (1 + math.Exp(-z))
	case op.ReLU2:
		return math.Pow(math.Max(0, z), 2)
	case op.Decay:
		return math.Exp(-0.606531 / (1 + math.Exp(-z)))
	case op.SiLU:
		return z / (1 + math.Exp(-z))
	case op.ExpDecay:
		return math.Exp(-math.Exp(z))
	}
	return z
}

func (r *oracle) WKV4(o *op.WKV4) error {
	for _, q := range r.s.batch.Seqs {
		aa, bb, pp := r.vals[o.AA.ID][q.Slot], r.vals[o.BB.ID][q.Slot], r.vals[o.PP.ID][q.Slot]
		for t := q.Start; t < q.Start+q.Len; t++ {
			for c := range pp {
				k, v := r.vals[o.K.ID][t][c], r.vals[o.V.ID][t][c]
				w, bonus := r.weight(o.W)[c], r.weight(o.U)[c]
				most := math.Max(pp[c], bonus+k)
				past, now := math.Exp(pp[c]-most), math.Exp(bonus+k-most)
				r.vals[o.Y.ID][t][c] = r.vals[o.R.ID][t][c] * (past*aa[c] + now*v) / (past*bb[c] + now)
				most = math.Max(pp[c]+w, k)
				past, now = math.Exp(pp[c]+w-most), math.Exp(k-most)
				aa[c], bb[c], pp[c] = past*aa[c]+now*v, past*bb[c]+now, most
			}
		}
	}
	return nil
}

func (r *oracle) WKV6(o *op.WKV6) error {
	n := o.N
	for _, q := range r.s.batch.Seqs {
		for h := range o.Heads {
			state := r.vals[o.State.ID][q.Slot][h*n*n:][:n*n]
			for t := q.Start; t < q.Start+q.Len; t++ {
				r.step6(o, state, h*n, int(t))
			}
		}
	}
	return nil
}

// step6 is one token of one head, whose channels begin at c.
func (r *oracle) step6(o *op.WKV6, state []float64, c, t int) {
	n := o.N
	row := func(x *op.Operand) []float64 { return r.vals[x.ID][t][c : c+n] }
	param := func(x *op.Operand) []float64 { return r.weight(x)[c : c+n] }
	rr, k, v, u := row(o.R), row(o.K), row(o.V), param(o.U)
	w := r.vals[o.W.ID][0][c:]
	if o.W.Kind == op.Row {
		w = row(o.W)
	}
	y := make([]float64, n)
	for j := range n {
		for i := range n {
			s := &state[j*n+i]
			y[i] += rr[j] * (*s + u[j]*k[j]*v[i])
			*s = *s*w[j] + k[j]*v[i]
		}
	}
	for i, f := range normalise(y, param(o.NormW), param(o.NormB), float64(o.Eps)) {
		if o.G != nil {
			f *= row(o.G)[i]
		}
		row(o.Y)[i] = f
	}
}

func (r *oracle) DeepEmbed(o *op.DeepEmbed) error {
	n := o.Y.Width
	for t, token := range r.s.batch.Tokens {
		for j := range n {
			var sum float64
			for i, h := range r.vals[o.H.ID][t] {
				sum += h * r.weight(o.Table)[(int(token)*o.H.Width+i)*n+j]
			}
			r.vals[o.Y.ID][t][j] = sum
		}
	}
	return nil
}

func (r *oracle) WKV7(o *op.WKV7) error {
	n := o.N
	for _, q := range r.s.batch.Seqs {
		for h := range o.Heads {
			state := r.vals[o.State.ID][q.Slot][h*n*n:][:n*n]
			for t := q.Start; t < q.Start+q.Len; t++ {
				r.step7(o, state, h*n, int(t))
			}
		}
	}
	return nil
}

// step7 is one token of one head, whose channels begin at c.
func (r *oracle) step7(o *op.WKV7, state []float64, c, t int) {
	n := o.N
	row := func(x *op.Operand) []float64 { return r.vals[x.ID][t][c : c+n] }
	param := func(x *op.Operand) []float64 { return r.weight(x)[c : c+n] }
	rr, w, k, v, a, g := row(o.R), row(o.W), row(o.K), row(o.V), row(o.A), row(o.G)
	kkScale, aScale, rk := param(o.KK), param(o.KA), param(o.RK)
	kk, key := make([]float64, n), make([]float64, n)
	var norm, bonus float64
	for j := range n {
		kk[j] = k[j] * kkScale[j]
		norm += kk[j] * kk[j]
		key[j] = k[j] * (1 + (a[j]-1)*aScale[j])
		bonus += rr[j] * key[j] * rk[j]
	}
	norm = math.Max(math.Sqrt(norm), 1e-12)
	y := make([]float64, n)
	for i := range n {
		var removed float64 // S kk
		for j := range n {
			removed += state[i*n+j] * kk[j] / norm
		}
		for j := range n {
			state[i*n+j] = state[i*n+j]*w[j] - removed*kk[j]/norm*a[j] + v[i]*key[j]
			y[i] += state[i*n+j] * rr[j]
		}
	}
	for i, f := range normalise(y, param(o.NormW), param(o.NormB), float64(o.Eps)) {
		row(o.Y)[i] = (f + bonus*v[i]) * g[i]
	}
}
