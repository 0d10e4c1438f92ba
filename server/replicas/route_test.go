package replicas

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
)

// A replica compares itself with two others, taken at random. Of up to three, the one with the least to do comes first.
func TestSpread(t *testing.T) {
	for n := range 13 {
		var list []candidate
		for i := range n {
			list = append(list, candidate{id: fmt.Sprint(i), has: 3 * i, most: 16, own: i == n-2})
		}
		const draws = 2000
		first := make([]int, n)
		for range draws {
			got := spread(slices.Clone(list))
			if len(got) != n || n > 0 && (got[0].has > max(3*(n-2), 0) || !slices.Equal(got[1:], slices.DeleteFunc(slices.Clone(list), func(c candidate) bool { return c == got[0] }))) {
				t.Fatalf("%d replicas: got %v", n, got)
			}
			if n > 0 {
				first[got[0].has/3]++
			}
		}
		if n > 0 && n <= 3 && first[0] != draws {
			t.Errorf("%d replicas: %v", n, first)
		}
		if n > 3 { // the first of all is one of the two others in 2 of n-1 draws
			if want := draws * 2 / (n - 1); first[0] < want/2 || first[0] > 2*want || first[1] == 0 {
				t.Errorf("%d replicas: %v, want %d times the first", n, first, want)
			}
		}
	}
}

// A replica that has little more to do than others works itself, as long as it has a sequence for that.
func TestSpreadOwn(t *testing.T) {
	for range 10_000 {
		list := make([]candidate, 1+rand.IntN(3))
		for i := range list {
			most := 1 + rand.IntN(40)
			list[i] = candidate{id: fmt.Sprint(i), has: rand.IntN(2 * most), most: most}
		}
		own := &list[rand.IntN(len(list))]
		own.own = true
		least := slices.MinFunc(list, byShare)
		here := own.has < own.most && own.share() <= least.share()+slack
		slices.SortStableFunc(list, byShare)
		if got := spread(slices.Clone(list))[0]; here && !got.own || !here && got.share() > least.share() {
			t.Fatalf("%+v: the first is %+v", list, got)
		}
	}
}

// A conversation with a long beginning that few have goes to the same replica whoever is asked, and one with a beginning
// that is short, or that this replica has met often, stays.
func TestNewcomer(t *testing.T) {
	list := []candidate{{id: "a", most: 16, own: true}, {id: "b", most: 16}, {id: "c", most: 16}}
	m := &Model{met: newRecent[int](mostMet)}
	begin := func(system string) (first string) {
		places := placesOf(&api.Request{Segments: []prompt.Segment{{Text: system, End: prompt.Anchor}, {Text: "User: Hello!", End: prompt.Turn}}})
		return m.newcomer(slices.Clone(list), places)[0].id
	}
	gone := map[string]int{}
	for i := range 300 {
		long := fmt.Sprint("System ", i, strings.Repeat(" and so on", longAnchor/10))
		home := begin(long)
		gone[home]++
		for n := 2; n <= 5; n++ {
			want := "a"
			if n <= rareAnchor {
				want = home
			}
			if got := begin(long); got != want {
				t.Fatalf("conversation %d with beginning %d, whose home is %s: it went to %s", n, i, home, got)
			}
		}
		if got := begin(fmt.Sprint("System ", i)); got != "a" {
			t.Fatalf("a short beginning: it went to %s", got)
		}
	}
	for _, c := range list {
		if gone[c.id] < 50 {
			t.Errorf("homes: %v", gone)
		}
	}
	for _, busy := range []int{1, 2} { // a home that has more to do than the others takes none
		list = []candidate{{id: "a", most: 16, own: true}, {id: "b", most: 16}, {id: "c", most: 16}}
		list[busy].has = 3
		for i := range 100 {
			if got := begin(fmt.Sprint("Another ", busy, i, strings.Repeat(" and so on", longAnchor/10))); got == list[busy].id {
				t.Fatalf("%s is busy and was chosen", got)
			}
		}
	}
}
