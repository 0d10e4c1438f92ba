package expr

import "unicode/utf8"

// span is a range of bytes at one place of a sequence.
type span struct{ low, high byte }

// Runes matches one character of ranges, each a first and a last one, as UTF-8. Surrogates, which UTF-8 has not, are left out.
func (p *Pool) Runes(ranges ...[2]rune) ID {
	var sequences [][]span
	for _, r := range ranges {
		low, high := max(r[0], 0), min(r[1], utf8.MaxRune)
		if low < surrogateMin && high > surrogateMax {
			sequences = appendSequences(sequences, low, surrogateMin-1)
			sequences = appendSequences(sequences, surrogateMax+1, high)
			continue
		}
		if low >= surrogateMin && low <= surrogateMax {
			low = surrogateMax + 1
		}
		if high >= surrogateMin && high <= surrogateMax {
			high = surrogateMin - 1
		}
		sequences = appendSequences(sequences, low, high)
	}
	return p.sequences(sequences)
}

const surrogateMin, surrogateMax = 0xD800, 0xDFFF

// sequences matches any of list, neighbours with the same first range being read together.
func (p *Pool) sequences(list [][]span) ID {
	var parts []ID
	for i := 0; i < len(list); {
		first := list[i][0]
		var rests [][]span
		whole := false
		j := i
		for ; j < len(list) && list[j][0] == first; j++ {
			if rest := list[j][1:]; len(rest) > 0 {
				rests = append(rests, rest)
			} else {
				whole = true
			}
		}
		i = j
		rest := p.sequences(rests)
		if whole {
			rest = p.Or(rest, Epsilon)
		}
		parts = append(parts, p.concat(p.Bytes(Range(first.low, first.high)), rest))
	}
	return p.Or(parts...)
}

// appendSequences appends, for the characters from low to high, sequences of byte ranges that together match their UTF-8 forms:
// the range is cut where the length of the form changes, and so that behind a place with a proper range all
// later places have the full range of continuation bytes.
func appendSequences(dst [][]span, low, high rune) [][]span {
	if low > high {
		return dst
	}
	for _, last := range []rune{0x7F, 0x7FF, 0xFFFF} {
		if low <= last && last < high {
			return appendSequences(appendSequences(dst, low, last), last+1, high)
		}
	}
	if high < utf8.RuneSelf {
		return append(dst, []span{{byte(low), byte(high)}})
	}
	for bits := 6; bits < 6*utf8.RuneLen(high); bits += 6 {
		mask := rune(1)<<bits - 1
		if low&^mask == high&^mask {
			continue // no difference above these bits
		}
		if low&mask != 0 {
			return appendSequences(appendSequences(dst, low, low|mask), low|mask+1, high)
		}
		if high&mask != mask {
			return appendSequences(appendSequences(dst, low, high&^mask-1), high&^mask, high)
		}
	}
	a, b := utf8.AppendRune(nil, low), utf8.AppendRune(nil, high)
	sequence := make([]span, len(a))
	for i := range a {
		sequence[i] = span{a[i], b[i]}
	}
	return append(dst, sequence)
}
