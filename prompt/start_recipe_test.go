package prompt

import "testing"

// A start that is made again from its recipe finds what the first one does; one that has seen a text has none.
func TestStartRecipe(t *testing.T) {
	for at := beforeContent; at <= contentText; at++ {
		for _, never := range []bool{false, true} {
			s := &Start{thoughts: thoughts{state: at}, never: never}
			again, err := RemakeStart(s.Recipe())
			if err != nil {
				t.Fatal(err)
			}
			for i, piece := range []string{">", "\nso", " it is</th", "ink>", "\n", "\n Yes"} {
				n, found := s.Next([]byte(piece), i == 5)
				if m, f := again.Next([]byte(piece), i == 5); m != n || f != found {
					t.Errorf("place %d, piece %d: %d, %t, want %d, %t", at, i, m, f, n, found)
				}
				if found {
					break
				}
			}
			if s.Recipe() != nil {
				t.Errorf("place %d: a recipe in the middle of a text", at)
			}
		}
	}
	for _, recipe := range []string{"", "{", `{"place":-1}`, `{"place":6}`} {
		if _, err := RemakeStart([]byte(recipe)); err == nil {
			t.Errorf("%q was taken", recipe)
		}
	}
}
