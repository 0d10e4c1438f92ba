package text

import "github.com/rwkv-gpu/rwkv-gpu/tokenizer"

// EndOfText is the id that ends a text. World vocabularies have no bytes for it.
const EndOfText = 0

// Finish is why a text ended.
type Finish string

// The reasons. The empty one says that the text has not ended by itself.
const (
	Unfinished     Finish = ""
	FinishedStop   Finish = "stop"   // at a stop string
	FinishedLength Finish = "length" // by the number of ids
	FinishedEnd    Finish = "end"    // by the end-of-text id
)

// Options say what ends a text.
type Options struct {
	Stop []string // stop strings, in valid UTF-8; none of them is empty
	Late []string // further ones, which count only behind the place that Gate finds
	Gate Gate     // of one text; nil has Late count from the start
	Max  int      // most ids; 0 for any number
}

// Writer turns ids into text. Not safe for concurrent use.
type Writer struct {
	stream  *tokenizer.Stream
	stops   *stops
	late    late
	max     int
	buf     []byte // the text that was returned last, and the text held back
	given   int    // bytes of buf that were returned
	total   int    // bytes of text that were returned, in all
	ids     int    // pushed, the end-of-text id aside
	borders []border
	covered border
	finish  Finish
	stop    string // that was found, or ""
}

// border is a number of ids that end in no unfinished character, and the bytes of text that they spell.
type border struct{ ids, bytes int }

// NewWriter returns a Writer for the ids of tok. An error names the stop string that is to blame.
func NewWriter(tok tokenizer.Tokenizer, o Options) (*Writer, error) {
	s, err := newStops("stop", o.Stop)
	if err != nil {
		return nil, err
	}
	w := &Writer{stream: tokenizer.NewStream(tok), stops: s, max: o.Max}
	if len(o.Late) > 0 {
		w.late.gate = o.Gate
		if w.late.stops, err = newStops("late", o.Late); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// Push takes the next id. It returns the text that is now certain, which is valid until the next call and may be empty,
// and reports whether the text has ended: then this is the rest of it, and later ids are ignored.
func (w *Writer) Push(id int) (text []byte, done bool) {
	w.drop()
	if w.finish != Unfinished {
		return nil, true
	}
	if id == EndOfText {
		return w.end(FinishedEnd), true
	}
	w.ids++
	from := len(w.buf)
	w.buf = w.stream.Append(w.buf, id)
	text = w.take(from, false)
	if w.finish == Unfinished && w.ids == w.max {
		return w.end(FinishedLength), true
	}
	return text, w.finish != Unfinished
}

// Flush ends the text from outside and returns the text held back, which is valid until the next call. An unfinished
// character becomes U+FFFD. If that completes a stop string, the text ends at the stop string; otherwise it stays
// Unfinished.
func (w *Writer) Flush() []byte {
	w.drop()
	if w.finish != Unfinished {
		return nil
	}
	return w.end(Unfinished)
}

// end appends the end of the stream and returns all text that was not dropped.
func (w *Writer) end(why Finish) []byte {
	from := len(w.buf)
	w.buf = w.stream.AppendEnd(w.buf)
	w.total -= w.given // this call returns its text with the rest
	w.given = 0
	if w.take(from, true); w.finish != Unfinished {
		return w.buf[:w.given]
	}
	w.finish = why
	w.give(len(w.buf))
	w.stops.reset()
	w.late.reset()
	return w.buf
}

// take looks for stop strings in buf[from:] and returns the certain text.
func (w *Writer) take(from int, last bool) []byte {
	end := 0
	if i, n := w.stops.find(w.buf[from:]); i >= 0 {
		w.stop, end = w.stops.all[i], from+n
	}
	if i, n := w.late.find(w.buf, from, last); i >= 0 {
		if stop := w.late.stops.all[i]; w.stop == "" || n < end || n == end && len(stop) > len(w.stop) {
			w.stop, end = stop, n
		}
	}
	w.mark()
	if w.stop != "" {
		w.finish = FinishedStop
		w.buf = w.buf[:end-len(w.stop)]
		w.give(len(w.buf))
		return w.buf
	}
	w.give(len(w.buf) - max(w.stops.begun(), w.late.begun()))
	return w.buf[:w.given]
}

// mark notes a border behind the ids pushed so far, if there is one.
func (w *Writer) mark() {
	if w.stream.Held() {
		return
	}
	b := border{w.ids, w.total - w.given + len(w.buf)}
	if n := len(w.borders); n > 0 && w.borders[n-1].bytes == b.bytes {
		w.borders[n-1] = b
		return
	}
	w.borders = append(w.borders, b)
}

// give returns n bytes from the start of buf.
func (w *Writer) give(n int) {
	w.total += n - w.given
	w.given = n
	k := 0
	for ; k < len(w.borders) && w.borders[k].bytes <= w.total; k++ {
		w.covered = w.borders[k]
	}
	w.borders = w.borders[:copy(w.borders, w.borders[k:])]
}

// drop forgets the text returned last.
func (w *Writer) drop() {
	w.buf = w.buf[:copy(w.buf, w.buf[w.given:])]
	w.given = 0
}

// Finish returns why the text ended.
func (w *Writer) Finish() Finish { return w.finish }

// Stop returns the stop string that ended the text, or "".
func (w *Writer) Stop() string { return w.stop }

// IDs returns how many ids were pushed until the text ended, with those of the stop string and without the end-of-text
// id.
func (w *Writer) IDs() int { return w.ids }

// Covered returns how many ids, from the first on, spell only text that was returned, and how many bytes they spell.
// These are fewer bytes than the whole text if its last token is text in part and stop string in part.
func (w *Writer) Covered() (ids, bytes int) { return w.covered.ids, w.covered.bytes }
