package main

import (
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// --quant changes what is loaded, which info shows, and says so in one line.
func TestQuant(t *testing.T) {
	for _, name := range []string{"Q4_K", "q4_k"} {
		var in modelInfo
		cliJSON(t, &in, "info", "--quant", name)
		types := map[string]string{}
		for _, x := range in.Tensors {
			types[x.Name] = x.Type
		}
		if types["head.weight"] != "Q6_K" || types["blocks.3.ffn.key.weight"] != "Q4_K" || types["emb.weight"] != "F16" || in.Loaded >= in.Bytes/2 {
			t.Errorf("%s: %d of %d bytes, %v", name, in.Loaded, in.Bytes, types)
		}
	}
	var stored, quantized logitsAnswer
	cliJSON(t, &stored, "logits", "--device", "cpu", "--tokens", "1660,2383")
	cliJSON(t, &quantized, "logits", "--device", "cpu", "--tokens", "1660,2383", "--quant", "q8_0")
	for i, v := range quantized.Logits[0] {
		if d := v - stored.Logits[0][i]; d > 0.1 || d < -0.1 {
			t.Fatalf("token %d: logit %g, %g unquantized", i, v, stored.Logits[0][i])
		}
	}
	if quantized.Logits[0][0] == stored.Logits[0][0] {
		t.Error("logits are the same")
	}
}

func TestQuantNotice(t *testing.T) {
	huge := func(byName map[string]*tensor.Tensor) {
		x, err := byName["blocks.0.att.key.weight"].Floats()
		if err != nil {
			t.Fatal(err)
		}
		x[5] = 1e9
		byName["blocks.0.att.key.weight"] = tensor.FromFloats("blocks.0.att.key.weight", byName["blocks.0.att.key.weight"].Shape, x)
	}
	for _, c := range []struct{ model, quant, want string }{
		{"", "q4_k", "quantizing to Q4_K while loading: weights 6.315 MiB, as stored 13.96 MiB; head Q6_K; measured on the demo model: perplexity +"},
		{"", "q8_0", "quantizing to Q8_0 while loading: weights 8.807 MiB, as stored 13.96 MiB; measured on the demo model: "},
		{tinyModel(t, nil), "q4_k", "; head Q8_0; "},
	} {
		args := []string{"info", "--quant", c.quant}
		if c.model != "" {
			args = append(args, "--model", c.model)
		}
		if r := cli(args...); r.status != statusDone || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, c.want) {
			t.Errorf("want %q, got %s", c.want, r)
		}
	}
	path := tinyModel(t, huge)
	r := cli("logits", "--tokens", "1", "--device", "cpu", "--quiet", "--quant", "q4_0", "--model", path)
	wantError(t, r, statusInput, path+": tensor blocks.0.att.key.weight: element 5: want at most 458528 in magnitude, for Q4_0, got 1e+09")
}
