package weights

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Output is a model file to be written: its header, and its tensors in order.
type Output struct {
	Format  string // "safetensors" or "GGUF"
	Tensors []Stored
	header  []byte // all before the first tensor
	align   int    // of each tensor, from the first on
	// Quantize encodes whole blocks, as quant.Encode does. It may be nil where nothing is to be quantized.
	Quantize func(typ tensor.Type, dst []byte, src []float32) error
}

// Stored is a tensor under the name and in the shape that the file has for it, with the type to store it as.
type Stored struct {
	*tensor.Tensor
	As tensor.Type
}

// Bytes returns the size of the tensor in the file.
func (s *Stored) Bytes() int { return s.As.Bytes(s.Len()) }

// Size returns the size of the file.
func (o *Output) Size() int64 {
	n := int64(len(o.header))
	for i := range o.Tensors {
		n += int64(o.padded(&o.Tensors[i]))
	}
	return n
}

func (o *Output) padded(s *Stored) int { return (s.Bytes() + o.align - 1) / o.align * o.align }

// Write writes the file, one tensor after the other. The error is an *Error if a number is not finite, or too large for
// the type to store it as. progress, if not nil, is told the bytes written, and its error ends the writing.
func (o *Output) Write(w io.Writer, progress func(done, all int64) error) error {
	done, all := int64(0), o.Size()
	put := func(b []byte) error {
		n, err := w.Write(b)
		if done += int64(n); err != nil || progress == nil {
			return err
		}
		return progress(done, all)
	}
	if err := put(o.header); err != nil {
		return err
	}
	for i := range o.Tensors {
		s := &o.Tensors[i]
		if err := o.write(s, put); err != nil {
			return err
		}
		if pad := o.padded(s) - s.Bytes(); pad > 0 {
			if err := put(make([]byte, pad)); err != nil {
				return err
			}
		}
	}
	return nil
}

// pieceElements is about how many elements are converted at a time, by one processor.
const pieceElements = 1 << 18

// write writes one tensor through put. Memory beyond the tensor's own bytes is a few pieces.
func (o *Output) write(s *Stored, put func([]byte) error) error {
	return s.Use(func(data []byte) error { return o.writeData(s, data, put) })
}

func (o *Output) writeData(s *Stored, data []byte, put func([]byte) error) error {
	if s.As == s.Type {
		if i := s.Type.CheckFinite(data); i >= 0 {
			return s.notFinite(i, data, s.Type)
		}
		for len(data) > 0 {
			n := min(len(data), 4<<20)
			if err := put(data[:n]); err != nil {
				return err
			}
			data = data[n:]
		}
		return nil
	}
	c := converter{stored: s, data: data, quantize: o.Quantize}
	return c.run(put)
}

// converter turns a tensor's bytes into those of another type, some rows at a time.
type converter struct {
	stored   *Stored
	data     []byte
	quantize func(typ tensor.Type, dst []byte, src []float32) error
}

func (c *converter) run(put func([]byte) error) error {
	row, all := 1, c.stored.Len()
	if n := len(c.stored.Shape); n > 0 { // a scalar has no rows
		row = c.stored.Shape[n-1]
	}
	if n, _ := c.stored.As.Block(); row%n != 0 {
		return &Error{Tensor: c.stored.Name, Field: "shape", Want: fmt.Sprintf("rows of whole %s blocks (%d elements)", c.stored.As, n), Got: fmt.Sprint(c.stored.Shape)}
	}
	piece := max(pieceElements/row, 1) * row
	workers := runtime.GOMAXPROCS(0)
	out, errs := make([][]byte, workers), make([]error, workers)
	for at := 0; at < all; at += workers * piece {
		var wait sync.WaitGroup
		for k := range workers {
			from := min(at+k*piece, all)
			to := min(from+piece, all)
			wait.Add(1)
			go func() {
				defer wait.Done()
				errs[k] = tensor.Guard(func() (err error) {
					out[k], err = c.convert(out[k], from, to)
					return err
				})
			}()
		}
		wait.Wait()
		for k := range workers {
			if errs[k] != nil {
				return errs[k]
			}
			if err := put(out[k]); err != nil {
				return err
			}
		}
	}
	return nil
}

// convert returns elements from to to, which are whole rows, in memory that reuses dst.
func (c *converter) convert(dst []byte, from, to int) ([]byte, error) {
	s := c.stored
	if from == to {
		return nil, nil
	}
	src := c.data[s.Type.Bytes(from):s.Type.Bytes(to)]
	if i := s.Type.CheckFinite(src); i >= 0 {
		return nil, s.notFinite(from+i, c.data, s.Type)
	}
	x := make([]float32, to-from)
	s.Type.Decode(x, src)
	dst = slices.Grow(dst[:0], s.As.Bytes(len(x)))[:s.As.Bytes(len(x))]
	if s.As.CanEncode() {
		s.As.Encode(dst, x)
		if i := s.As.CheckFinite(dst); i >= 0 {
			return nil, s.tooLarge(x[i], from+i, nil)
		}
	} else if err := c.quantize(s.As, dst, x); err != nil {
		i := 0
		for k, v := range x {
			if max(v, -v) > max(x[i], -x[i]) {
				i = k
			}
		}
		return nil, s.tooLarge(x[i], from+i, err)
	}
	return dst, nil
}

// tooLarge returns the error for element i, which is too large for the type to store it as.
func (s *Stored) tooLarge(value float32, i int, err error) error {
	return &Error{Tensor: s.Name, Field: "value", Want: "numbers that " + s.As.String() + " can hold", Got: fmt.Sprintf("%v at %v", value, place(i, s.Shape)), Err: err}
}

// notFinite returns the error for element i of data.
func (s *Stored) notFinite(i int, data []byte, typ tensor.Type) error {
	elements, size := typ.Block()
	block := make([]float32, elements)
	typ.Decode(block, data[i/elements*size:])
	return &Error{Tensor: s.Name, Field: "value", Want: "finite numbers", Got: fmt.Sprintf("%v at %v", block[i%elements], place(i, s.Shape))}
}

// Safetensors returns a safetensors file of tensors, in their order, with annotations. The types of the tensors must be
// plain.
func Safetensors(tensors []Stored, annotations map[string]string) (*Output, error) {
	var b bytes.Buffer
	quote := func(v any) {
		text, err := json.Marshal(v)
		if err != nil {
			panic(err) // cannot be: strings, and maps of them
		}
		b.Write(text)
	}
	b.WriteByte('{')
	if len(annotations) > 0 {
		b.WriteString(`"__metadata__":`)
		quote(annotations)
	}
	at := 0
	for i := range tensors {
		s := &tensors[i]
		if !slices.Contains(safetensorsTypes, s.As) {
			return nil, &Error{Tensor: s.Name, Field: "dtype", Want: "a type that safetensors has", Got: s.As.String()}
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		quote(s.Name)
		shape := strings.ReplaceAll(strings.Trim(fmt.Sprint(s.Shape), "[]"), " ", ",")
		fmt.Fprintf(&b, `:{"dtype":"%s","shape":[%s],"data_offsets":[%d,%d]}`, s.As, shape, at, at+s.Bytes())
		at += s.Bytes()
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	header := binary.LittleEndian.AppendUint64(nil, uint64(b.Len()))
	return &Output{Format: "safetensors", Tensors: tensors, header: append(header, b.Bytes()...), align: 1}, nil
}
