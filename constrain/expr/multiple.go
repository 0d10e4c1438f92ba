package expr

import "encoding/binary"

// multiple is the state of reading a decimal number that shall be a multiple of Of / 10^Places: the digits so far, as one
// integer, leave Rest when divided by Of.
type multiple struct {
	of, rest int64
	places   int32
	fraction int32 // digits behind the point so far, at most places; -1 before it
}

func (m *multiple) append(k []byte) []byte {
	for _, v := range []int64{m.of, m.rest, int64(m.places), int64(m.fraction)} {
		k = binary.LittleEndian.AppendUint64(k, uint64(v))
	}
	return k
}

// MaxMultiple is the largest Of that Multiple takes: finding out whether a number can still become a multiple that is also
// something else may take so many states.
const MaxMultiple = 10000

// Multiple matches digits, perhaps with a point among or behind them, whose value is a multiple of of / 10^places; of is
// between 1 and MaxMultiple. Sign, leading zeros and a point without digits are the business of an expression to meet it.
func (p *Pool) Multiple(of int64, places int) ID {
	p.Bytes(Range('.', '.'))
	for b := byte('0'); b <= '9'; b++ {
		p.Bytes(Range(b, b)) // so that each digit is a class of its own
	}
	return p.multiple(multiple{of: of, places: int32(places), fraction: -1})
}

func (p *Pool) multiple(m multiple) ID {
	// Places that are not there are zeros: rest * 10^missing has to be a multiple.
	rest := m.rest
	for range m.places - max(m.fraction, 0) {
		rest = rest * 10 % m.of
	}
	if m.fraction >= 0 && !m.reachable() {
		return Empty
	}
	return p.intern(node{kind: isMultiple, nullable: rest == 0, positive: true, multiple: &m})
}

// reachable reports whether the places that are left can make it a multiple.
func (m *multiple) reachable() bool {
	rest, room := m.rest, int64(1)
	for range m.places - m.fraction {
		rest = rest * 10 % m.of
		room = min(room*10, MaxMultiple)
	}
	return (m.of-rest)%m.of < room
}

func (p *Pool) deriveMultiple(m multiple, b byte) ID {
	switch {
	case b == '.' && m.fraction < 0:
		m.fraction = 0
	case b < '0' || b > '9':
		return Empty
	case m.fraction == m.places: // a place more: only a zero is a multiple's
		if b != '0' {
			return Empty
		}
	default:
		m.rest = (m.rest*10 + int64(b-'0')) % m.of
		if m.fraction >= 0 {
			m.fraction++
		}
	}
	return p.multiple(m)
}
