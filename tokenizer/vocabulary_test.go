package tokenizer

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// appendEncode is AppendEncode of a text that the vocabulary can spell.
func appendEncode(tok Tokenizer, dst []int, text []byte) []int {
	dst, err := tok.AppendEncode(dst, text)
	if err != nil {
		panic(err)
	}
	return dst
}

func encode(tok Tokenizer, text string) []int { return appendEncode(tok, nil, []byte(text)) }

// bytesVocabulary is the smallest valid file, 256 lines.
func bytesVocabulary() string {
	var b strings.Builder
	for c := range 256 {
		fmt.Fprintf(&b, "%d b'\\x%02x' 1\n", c+1, c)
	}
	return b.String()
}

func TestMalformedVocabularies(t *testing.T) {
	const id, token, length = "id", "token", "length"
	long := strings.Repeat("a", MaxToken+1)
	for _, c := range []struct{ name, line, field, message string }{
		{"no id", "'ab' 2", id, `v.txt: line 257: id: want a number from 1 to 1048575, got "'ab'"`},
		{"blank line", "\n300 'ab' 2", id, `got ""`},
		{"blank", " 'ab' 2", id, `got ""`},
		{"byte order mark", "\ufeff300 'ab' 2", id, `got "\ufeff300"`},
		{"id 0", "0 'ab' 2", id, `want a number from 1 to 1048575, got "0"`},
		{"negative id", "-1 'ab' 2", id, `got "-1"`},
		{"fraction", "1.5 'ab' 2", id, `got "1.5"`},
		{"huge id", "1048576 'ab' 2", id, `got "1048576"`},
		{"very huge id", "99999999999999999999999999 'ab' 2", id, `got "99999999999999999999999999"`},
		{"id there twice", "66 'ab' 2", id, "line 257: id: want each id once, got 66, which line 66 has"},
		{"token there twice", "300 'A' 1", token, `line 257: token: want each token once, got "A", which line 66 has`},
		{"id only", "300", token, "want a space and a Python literal after the id, got the end of the line"},
		{"no literal", "300 \n301 'ab' 2", token, `got ""`},
		{"bare word", "300 ab 2", token, `want a Python literal '…', "…", b'…' or b"…", got "ab 2"`},
		{"two spaces", "300  'ab' 2", token, `got " 'ab' 2"`},
		{"raw prefix", "300 r'ab' 2", token, `got "r'ab' 2"`},
		{"prefix only", "300 b", token, `got "b"`},
		{"not closed", "300 'ab 2", token, "want a closing ', got the end of the line"},
		{"other quote", `300 "ab' 2`, token, `want a closing ", got the end of the line`},
		{"escaped close", `300 'ab\' 2`, token, "want a closing '"},
		{"ends in escape", `300 'ab\`, token, `want an escape \\ \' \" \n \r \t \xNN \uNNNN \UNNNNNNNN, got "\\"`},
		{"unknown escape", `300 'a\q' 2`, token, `got "\\q"`},
		{"octal escape", `300 '\101b' 2`, token, `got "\\1"`},
		{"short hex", `300 'a\x4' 2`, token, `want 2 hexadecimal digits after \x, got "\\x4'"`},
		{"no hex", `300 'a\x`, token, `got "\\x"`},
		{"hex cut off", `300 'a\x4`, token, `want 2 hexadecimal digits after \x, got "\\x4"`},
		{"signed hex", `300 'a\u+123' 2`, token, `want 4 hexadecimal digits after \u, got "\\u+123"`},
		{"underscore", `300 'a\u1_23' 2`, token, `got "\\u1_23"`},
		{"short U", `300 'a\U0001F60' 2`, token, `want 8 hexadecimal digits after \U, got "\\U0001F60'"`},
		{"surrogate", `300 'a\ud800' 4`, token, `want a Unicode character (no surrogate, at most U+10FFFF), got "\\ud800"`},
		{"beyond Unicode", `300 '\U00110000' 4`, token, `got "\\U00110000"`},
		{"beyond int32", `300 '\UFFFFFFFF' 4`, token, `got "\\UFFFFFFFF"`},
		{"u in bytes", `300 b'\u0041b' 2`, token, `want an escape \\ \' \" \n \r \t \xNN, got "\\u"`},
		{"not ASCII in bytes", "300 b'é' 2", token, "want only ASCII in a b'…' literal"},
		{"NUL", "300 'a\x00' 2", token, "want NUL and carriage return written as escapes"},
		{"carriage return", "300 'a\rb' 3", token, "want NUL and carriage return written as escapes"},
		{"empty token", "300 '' 0", token, "want 1 to 1024 bytes, got 0"},
		{"long token", "300 '" + long + "' 1025", token, "want 1 to 1024 bytes, got 1025"},
		{"no length", "300 'ab'", length, `want a space and a number after the token, got ""`},
		{"no space", "300 'ab'2", length, `got "2"`},
		{"wrong length", "300 'ab' 3", length, `want 2, the bytes of the token, got "3"`},
		{"characters for bytes", "300 'éé' 2", length, `want 4, the bytes of the token, got "2"`},
		{"huge length", "300 'ab' 18446744073709551618", length, `got "18446744073709551618"`},
		{"more", "300 'ab' 2 x", length, `got "2 x"`},
		{"not UTF-8", "300 'a\xff' 2", "line", `want valid UTF-8, got "300 'a\xff' 2"`},
		{"long line", "300 '" + strings.Repeat("a", maxLine) + "' 2", "line", "want at most 8192 bytes, got 8200"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseWorld("v.txt", []byte(bytesVocabulary()+c.line+"\n"))
			checkFault(t, err, 257, c.field, c.message)
		})
	}
}

func checkFault(t *testing.T, err error, line int, field, message string) {
	t.Helper()
	var fault *Error
	if !errors.As(err, &fault) {
		t.Fatalf("got %v, want an *Error", err)
	}
	if fault.File != "v.txt" || fault.Line != line || fault.Field != field {
		t.Errorf("got file %s, line %d, field %s; want v.txt, %d, %s", fault.File, fault.Line, fault.Field, line, field)
	}
	if s := err.Error(); !strings.Contains(s, message) || strings.Contains(s, "\n") || len(s) > 400 {
		t.Errorf("got message %q, want one line with %q", s, message)
	}
}

func TestIncompleteVocabularies(t *testing.T) {
	_, err := ParseWorld("v.txt", nil)
	checkFault(t, err, 0, "tokens", `v.txt: tokens: want at least one, got none`)
	_, err = ParseWorld("v.txt", make([]byte, maxFile+1))
	checkFault(t, err, 0, "size", "want at most 67108864 bytes")
}

// The first of several tokens that are there twice is named, by its second line.
func TestFirstDuplicate(t *testing.T) {
	_, err := ParseWorld("v.txt", []byte(bytesVocabulary()+"301 'zz' 2\n302 'aa' 2\n303 'zz' 2\n304 'aa' 2\n305 'zz' 2\n"))
	checkFault(t, err, 259, "token", `got "zz", which line 257 has`)
}

// What Python reads as the same vocabulary is the same here.
func TestAcceptedForms(t *testing.T) {
	for name, file := range map[string]string{
		"no last line break":       strings.TrimSuffix(bytesVocabulary(), "\n"),
		"carriage returns":         strings.ReplaceAll(bytesVocabulary(), "\n", "\r\n"),
		"double quotes, upper hex": strings.ReplaceAll(strings.ReplaceAll(bytesVocabulary(), "'", `"`), `\xff`, `\xFF`),
		"highest id":               bytesVocabulary() + "1048575 'ab' 2\n",
		"longest token":            bytesVocabulary() + "300 '" + strings.Repeat(`\x41`, MaxToken) + "' 1024\n",
		"raw tab":                  bytesVocabulary() + "300 '\t\t' 2\n",
	} {
		w, err := ParseWorld(name, []byte(file))
		if err != nil {
			t.Error(err)
		} else if got := Decode(w, appendEncode(w, nil, []byte("a\xff\x00"))); string(got) != "a\xff\x00" || w.Name() != name {
			t.Errorf("%s: got %q", w.Name(), got)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "absent.txt")
	if _, err := Open(path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("absent file: %v", err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("folder: %v", err)
	}
	path = filepath.Join(dir, "bad.txt")
	if err := os.WriteFile(path, []byte("1 'a' 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := path + `: line 1: length: want 1, the bytes of the token, got "2"`
	if _, err := Open(path); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func FuzzParseWorld(f *testing.F) {
	// The input follows a valid file and also stands alone, so that both early and late checks are reached.
	base := bytesVocabulary()
	for _, s := range []string{
		"300 'ab' 2\n", "300 \"it's\" 4\n", `300 b'\xff\xfe' 2`, `300 '\u2028' 3`, `300 '\U000e0001' 4`, `300 '\x80\n\r\t\\\'' 7`,
		"1048575 'ab' 2\r\n", "300 'ab' 3\n", "66 'ab' 2\n", "300 'A' 1\n", "300 'ab\n", `300 '\ud800' 3`, "300 'abc' 3\n301 'abd' 3\n302 'abcdef' 6\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := ParseWorld("alone", data); err != nil {
			oneLine(t, err)
		}
		w, err := ParseWorld("after", append([]byte(base), data...))
		if err != nil {
			oneLine(t, err)
			return
		}
		for id := 257; id < w.Size(); id++ {
			if b := w.Bytes(id); b != nil {
				if got := appendEncode(w, nil, b); len(got) != 1 || got[0] != id {
					t.Fatalf("token %q encodes to %v, want %d", b, got, id)
				}
			}
		}
		if got := Decode(w, appendEncode(w, nil, data)); !bytes.Equal(got, data) {
			t.Fatalf("%q came back as %q", data, got)
		}
	})
}

func oneLine(t *testing.T, err error) {
	t.Helper()
	if s := err.Error(); strings.ContainsAny(s, "\n\r") || len(s) > 600 {
		t.Fatalf("not one short line: %q", s)
	}
}
