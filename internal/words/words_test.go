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

// Nothing of a text commands the terminal or turns its order round, and all else is shown as it is.
func TestShown(t *testing.T) {
	for text, want := range map[string]string{
		"ä\tfox\n":                 "ä\tfox\n",
		"\x1b]0;title\a\r\u009b2J": "\uFFFD]0;title\uFFFD\uFFFD\uFFFD2J",
		"\u3000狐狸\u00a0🦊\u2009é":   "\u3000狐狸\u00a0🦊\u2009é",
		"👨\u200d👩\u200d👧 ❤\ufe0f":  "👨\u200d👩\u200d👧 ❤\ufe0f",
		"क्\u200dष می\u200cخواهم":  "क्\u200dष می\u200cخواهم",
		"a\u202eb\u2066c\u2028d":   "a\uFFFDb\uFFFDc\uFFFDd",
		"a\xffb":                   "a\uFFFDb",
	} {
		if got := Shown(text); got != want {
			t.Errorf("%q: want %q, got %q", text, want, got)
		}
	}
}
