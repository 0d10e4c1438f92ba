package bulk

import (
	"bufio"
	"context"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

const killedEnv = "RWKV_TEST_BULK" // the input of a process of TestKills

// slowly answers after a time that no two items share, as a model does.
type slowly struct{ echo }

func (s *slowly) Do(ctx context.Context, r *Request) (Answer, error) {
	time.Sleep(time.Duration(seed(r.ID)%997) * time.Microsecond)
	return s.echo.Do(ctx, r)
}

// killed does a job in a process that may be killed, and writes a byte after each result.
func killed(input string) error {
	o := options(input)
	_, err := work(context.Background(), o, &slowly{}, func(Progress) { _, _ = os.Stdout.Write([]byte{'.'}) })
	return err
}

// sized returns a number from the environment, for those who have more time.
func sized(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// A process that is killed again and again, wherever it is, has in the end each result once, in the order of the input,
// and the same as one that nothing disturbed. It takes up what it had done: of each run only what was under way is lost.
// RWKV_BULK_ITEMS=10000 RWKV_BULK_KILLS=20 has more of both.
func TestKills(t *testing.T) {
	if input := os.Getenv(killedEnv); input != "" {
		if err := killed(input); err != nil {
			t.Fatal(err)
		}
		return
	}
	items, kills := sized("RWKV_BULK_ITEMS", 600), sized("RWKV_BULK_KILLS", 8)
	lines := some(items)
	undisturbed := options(file(t, t.TempDir(), lines...))
	want, err := work(t.Context(), undisturbed, &echo{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := options(file(t, t.TempDir(), lines...))
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	total, began := 0, time.Now()
	var resumed time.Duration
	for run := 0; ; run++ {
		c := reference.Self("-test.run=^TestKills$")
		c.Env = append(os.Environ(), killedEnv+"="+o.Input)
		out, err := c.StdoutPipe()
		if err == nil {
			err = c.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		start, in := time.Now(), bufio.NewReaderSize(out, 16)
		until, seen := 1+rng.IntN(2*items/(kills+1)), 0
		if run == kills {
			until = 1 << 30
		}
		for ; seen < until; seen++ {
			if b, err := in.ReadByte(); err != nil || b != '.' {
				break
			}
			if seen == 0 {
				resumed = max(resumed, time.Since(start))
			}
		}
		total += seen
		if run < kills {
			_ = c.Process.Kill() // it may have ended
		}
		_, _ = io.Copy(io.Discard, in) // what the test of that process says
		err = c.Wait()
		if run == kills && err != nil {
			t.Fatalf("the last run: %v", err)
		}
		if run == kills {
			break
		}
	}
	sameResults(t, undisturbed, o)
	t.Logf("%d items, %d kills: %d results seen, %v in all, at most %v to the first result of a run", items, kills, total, time.Since(began), resumed)
	if total > items+10*kills {
		t.Errorf("%d results were made of %d items", total, items)
	}
	j, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if c := j.Counts(); c != want || !j.Done() {
		t.Errorf("%+v, want %+v", c, want)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}
