package load_test

import (
	"fmt"
	"os"

	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// A program opens all that a user names: here the demo model, quantized while it loads. The engine takes m.Model and
// ids.
func Example() {
	m, err := load.Open(load.Options{
		Model:  os.Getenv("NO_SUCH_VARIABLE"), // any file; "" is the demo model
		Quant:  "q8_0",
		Notice: func(n load.Notice) { fmt.Println("notice:", n.Text[:len("quantizing to Q8_0")]) },
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err) // an *OptionError or a *FileError says which option is at fault
		return
	}
	defer m.Close()
	tok, err := m.Tokenizer()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	ids, err := tokenizer.Encode(tok, "Once upon a time")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Println(m.Version, m.Layers, m.LoadedAs("head.weight"), m.Begin.First(ids))
	// Output:
	// notice: quantizing to Q8_0
	// v7 6 Q8_0 [1660 2383 275 2366]
}
