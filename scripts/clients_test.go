package scripts

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each client in clients/ is a row of the table in clients.sh, and docs/clients.md says at which version it is tested.
func TestClients(t *testing.T) {
	script, err := os.ReadFile("clients.sh")
	if err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile("../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(script), "\ntable='\n")
	table, _, _ = strings.Cut(table, "'")
	rows := map[string]bool{}
	for line := range strings.SplitSeq(strings.TrimSpace(table), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 3 {
			t.Errorf("want three columns, got %q", line)
			continue
		}
		name := strings.TrimSpace(cells[0])
		rows[name] = true
		for _, one := range strings.Fields(cells[2]) {
			version := locked(t, name, one)
			if row := regexp.MustCompile("(?m)^\\| .*`" + regexp.QuoteMeta(one) + " " + regexp.QuoteMeta(version) + "`"); !row.Match(docs) {
				t.Errorf("docs/clients.md: want a row with `%s %s`, of clients/%s", one, version, name)
			}
		}
	}
	locks, err := filepath.Glob("../clients/*/*")
	if err != nil || len(locks) == 0 {
		t.Fatalf("no clients (%v)", err)
	}
	for _, lock := range locks {
		switch filepath.Base(lock) {
		case "requirements.txt", "package-lock.json", "go.mod":
			if name := filepath.Base(filepath.Dir(lock)); !rows[name] {
				t.Errorf("clients/%s is no row of the table", name)
			}
		}
	}
}

// locked returns the version of a package that the lock of a client names.
func locked(t *testing.T, client, name string) string {
	t.Helper()
	for lock, pattern := range map[string]string{
		"requirements.txt":  `(?m)^NAME==(\S+)`,
		"package-lock.json": `"node_modules/NAME": \{\s*"version": "([^"]+)"`,
		"go.mod":            `\bNAME v(\S+)`,
	} {
		text, err := os.ReadFile(filepath.Join("../clients", client, lock))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(strings.Replace(pattern, "NAME", regexp.QuoteMeta(name), 1)).FindSubmatch(text)
		if found == nil {
			t.Fatalf("clients/%s/%s does not name %s", client, lock, name)
		}
		return string(found[1])
	}
	t.Fatalf("clients/%s has no lock", client)
	return ""
}
