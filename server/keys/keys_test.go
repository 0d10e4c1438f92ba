package keys

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func header(name, value string) http.Header {
	h := http.Header{}
	h.Set(name, value)
	return h
}

func TestRead(t *testing.T) {
	var r Ring
	if r.Asked() || r.User(http.Header{}) == nil || r.User(header("Authorization", "Bearer x")).Name != "" {
		t.Error("a ring without keys does not let everybody in")
	}
	if err := r.Read(strings.NewReader("\ufeff# people\n\nann  sk-a\r\nbob sk-b concurrent=1 per-minute=60\n")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		h    http.Header
		want string
	}{
		{header("Authorization", "Bearer sk-a"), "ann"},
		{header("Authorization", "bearer sk-b"), "bob"},
		{header("X-Api-Key", "sk-b"), "bob"},
		{header("X-Api-Key", "sk-"), ""},
		{header("Authorization", "Bearer sk-ax"), ""},
		{header("Authorization", "Basic sk-a"), ""},
		{header("Authorization", "sk-a"), ""},
		{header("Authorization", "Bearer "), ""},
		{http.Header{}, ""},
	} {
		got := r.User(c.h)
		if (got == nil) != (c.want == "") || got != nil && got.Name != c.want {
			t.Errorf("%v: want %q, got %+v", c.h, c.want, got)
		}
	}
	if !r.Asked() {
		t.Error("a ring with keys asks for none")
	}
}

func TestReadWrong(t *testing.T) {
	for text, want := range map[string]string{
		"a k\nb":                             "line 2: want `name key`, got 1 word",
		"a secret\na other":                  `line 2: name "a" is there twice`,
		"a secret\nb secret":                 `line 2: the key of "b" is also that of "a"`,
		"a secret concurrent=0":              `line 1: limit 1: want concurrent=N or per-minute=N with N from 1`,
		"a k per-minute=1 speed=3":           `line 1: limit 2: want concurrent=N or per-minute=N`,
		"ann smith sk-secret":                `line 1: limit 1: want`,
		"ann smith secret=3":                 `line 1: limit 1: want`,
		"a s\x01cret":                        "line 1: name or key: want visible ASCII characters, got byte 0x1",
		"a k\n" + strings.Repeat("#", 1<<20): "larger than 1048576 bytes",
		strings.Repeat("#\n", 1<<20):         "larger than 1048576 bytes",
	} {
		var r Ring
		if err := r.Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") && !strings.Contains(want, "secret") {
			t.Errorf("%.40q: want %s, got %v", text, want, err)
		}
	}
}

func TestEnter(t *testing.T) {
	var r Ring
	if err := r.Read(strings.NewReader("one a concurrent=1\nmany b per-minute=2\nfree c")); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	one, many, free := r.users[0], r.users[1], r.users[2]
	leave, _ := one.Enter(now, 1)
	if again, _ := one.Enter(now, 1); leave == nil || again != nil {
		t.Error("two at once where one is the most")
	}
	leave()
	if again, _ := one.Enter(now, 1); again == nil {
		t.Error("no room after the first has left")
	}
	for i := range 3 {
		leave, wait := many.Enter(now, 1)
		if (leave != nil) != (i < 2) || i == 2 && (wait < 29*time.Second || wait > 31*time.Second) {
			t.Errorf("request %d of 2 a minute: let in %v, wait %v", i+1, leave != nil, wait)
		}
	}
	if leave, _ := many.Enter(now.Add(31*time.Second), 1); leave == nil {
		t.Error("not let in half a minute later")
	}
	for range 100 {
		if leave, _ := free.Enter(now, 1); leave == nil {
			t.Fatal("a user without limits was held up")
		}
	}
}

// Several requests enter together or not at all.
func TestEnterSeveral(t *testing.T) {
	var r Ring
	if err := r.Read(strings.NewReader("both a concurrent=3 per-minute=4\nminute b per-minute=2\nfree c")); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	both, minute, free := r.users[0], r.users[1], r.users[2]
	if both.Most() != 3 || minute.Most() != 2 || free.Most() != 0 {
		t.Errorf("most: got %d, %d and %d", both.Most(), minute.Most(), free.Most())
	}
	if leave, wait := minute.Enter(now, 3); leave != nil || wait != 0 {
		t.Error("more than ever may enter did, or were told to wait")
	}
	if leave, _ := both.Enter(now, 4); leave != nil || len(both.atOnce) != 0 {
		t.Errorf("4 of 3 at once entered, or left %d behind", len(both.atOnce))
	}
	leave, _ := both.Enter(now, 3)
	if again, _ := both.Enter(now, 1); leave == nil || again != nil {
		t.Fatal("3 at once do not count as 3")
	}
	leave()
	if leave, wait := both.Enter(now, 2); leave != nil || wait == 0 || len(both.atOnce) != 0 {
		t.Errorf("5 of 4 a minute entered, or left %d behind", len(both.atOnce))
	}
	if leave, _ := both.Enter(now, 1); leave == nil {
		t.Error("those that did not enter count")
	}
}
