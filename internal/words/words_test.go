package words

import "testing"

func TestSize(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1 << 20: "1 MiB", 1536 << 20: "1.5 GiB", 123456789: "117.7 MiB", 5 << 40: "5120 GiB"} {
		if got := Size(n); got != want {
			t.Errorf("%d: want %s, got %s", n, want, got)
		}
	}
}

func TestPlural(t *testing.T) {
	for n, want := range map[int]string{0: "0 tokens", 1: "1 token", 2: "2 tokens"} {
		if got := Plural(n, "token"); got != want {
			t.Errorf("%d: want %s, got %s", n, want, got)
		}
	}
}
