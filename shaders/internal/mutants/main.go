// Command mutants tests the tests: it makes one mistake at a time in the shaders and wants a test to fail.
//
//	make mutants                                        every mutant, and writes shaders/MUTANTS.md
//	go run ./shaders/internal/mutants -run wkv7_step    some, and prints the table
//
// The lists of this package say which mistakes. The committed tree stays as it is: a mutant's modules are compiled into
// a folder of .cache, from which binaries of the tests, built with a file more (shaders.go.txt), take them in place of
// the embedded ones. A mutant that no longer fits the sources ends the run with status 1, so that the table stays true.
//
// With -compare, rwkv-gpu compare runs on the mutants of kernels that it meets, too: it should fail, and name an op
// that runs such a kernel.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	var o options
	flag.StringVar(&o.run, "run", "", "only mutants whose name matches `REGEXP`")
	flag.StringVar(&o.out, "o", "", "write the table to `FILE` instead of standard output")
	flag.BoolVar(&o.check, "check", false, "only verify that every mutant fits the sources")
	flag.BoolVar(&o.table, "table", false, "run nothing: write the table of what is kept of earlier runs")
	flag.BoolVar(&o.tests, "tests", true, "run the tests")
	flag.BoolVar(&o.quick, "quick", false, "run the tests of a mutant's own kernel only")
	flag.StringVar(&o.cases, "cases", "", "compare only in cases that match `REGEXP`, such as '^(v7|q4_k), gpu$'")
	flag.BoolVar(&o.resume, "resume", false, "take what an earlier run found of the same mutants, but for those that survived")
	flag.BoolVar(&o.compare, "compare", false, "run rwkv-gpu compare")
	flag.IntVar(&o.jobs, "jobs", 1, "try `N` mutants at a time")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

type options struct {
	run, out, cases       string
	check, tests, compare bool
	quick, resume, table  bool
	jobs                  int
}

// result is what became of a mutant.
type result struct {
	name string
	mutant
	made modules
	finding
}

type verdict string

const (
	caught   verdict = "caught"
	survived verdict = "survived"
	equal    verdict = "equivalent"
	notRun   verdict = "not run" // no driver here has what the kernel needs
	unknown  verdict = ""
)

func run(o options) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	src, err := readSources(root)
	if err != nil {
		return err
	}
	list := all()
	if err := src.check(list); err != nil || o.check {
		return err
	}
	want, err := regexp.Compile(o.run)
	if err != nil {
		return err
	}
	cache := filepath.Join(root, ".cache", "mutants")
	if o.table {
		o.resume, o.tests, o.compare = true, false, false
	}
	results, err := examine(src, list, want, cache, o)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	table(&text, results)
	if o.out == "" {
		_, err = os.Stdout.Write(text.Bytes())
	} else {
		err = os.WriteFile(o.out, text.Bytes(), 0o644)
	}
	return err
}

// examine tries the mutants whose names are wanted, as far as that is asked for and not known.
func examine(src *sources, list []mutant, want *regexp.Regexp, cache string, o options) (results []result, err error) {
	var b *bench
	var cases []compareCase
	if o.tests || o.compare {
		if b, err = newBench(src, filepath.Join(cache, "bin")); err != nil {
			return nil, err
		}
	}
	if o.compare {
		if cases, err = b.compareCases(o.cases, o.jobs); err != nil {
			return nil, err
		}
	}
	for i, name := range names(list) {
		if want.MatchString(name) {
			results = append(results, result{name: name, mutant: list[i]})
		}
	}
	if len(results) == 0 {
		return nil, errors.New("no mutant matches")
	}
	kept := findings{filepath.Join(cache, "findings")}
	return results, sideBySide(o.jobs, len(results), func(i int) (err error) {
		r := &results[i]
		if r.made, err = src.compile(&r.mutant, cache); err != nil {
			return err
		}
		if o.resume {
			if r.finding, err = kept.of(r); err != nil {
				return err
			}
		}
		if b == nil {
			return nil
		}
		return b.examine(r, cases, kept, o)
	})
}

// sideBySide calls each for 0 to n-1, some at a time, until one fails.
func sideBySide(jobs, n int, each func(int) error) error {
	var next atomic.Int64
	errs := make([]error, max(jobs, 1))
	var wait sync.WaitGroup
	for job := range errs {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i := next.Add(1) - 1; i < int64(n) && errs[job] == nil; i = next.Add(1) - 1 {
				if errs[job] = each(int(i)); errs[job] != nil {
					next.Store(int64(n))
				}
			}
		}()
	}
	wait.Wait()
	return errors.Join(errs...)
}

// examine tries one mutant and keeps what it finds.
func (b *bench) examine(r *result, cases []compareCase, kept findings, o options) error {
	start := time.Now()
	if o.tests && (r.Verdict == unknown || r.Verdict == survived) {
		if err := b.test(r, o.quick); err != nil {
			return err
		}
	}
	if o.compare && r.Equal == "" && !r.Round && (r.Compare == nil || !r.Compare.Right) {
		r.Compare = b.compare(cases, r)
	}
	fmt.Fprintf(os.Stderr, "%s\t%s\t%s\t%s\t%.0f s\n", r.name, r.Verdict, r.By, r.Compare, time.Since(start).Seconds())
	return kept.keep(r)
}

// test runs the stages of a mutant until one fails.
func (b *bench) test(r *result, quick bool) error {
	stages := stagesOf(&r.mutant)
	if quick {
		stages = stages[:len(stages)-len(rest)]
	}
	for i, s := range stages {
		before, err := b.baseline(s)
		if err != nil {
			return err
		}
		if i == 0 && !before.ran {
			r.Verdict = notRun
			return nil
		}
		if o := b.try(s, r.made.dir, time.Minute+5*before.took); o.failed != "" {
			r.Verdict, r.By = caught, o.failed
			if device, _, _ := strings.Cut(string(s), " "); device != "lavapipe" {
				r.By += " (" + device + ")"
			}
			if r.Equal != "" {
				return fmt.Errorf("%s: argued equivalent, and %s fails", r.name, r.By)
			}
			return nil
		}
		if r.Equal != "" && i == len(stages)-len(rest) { // its own stages and one more are proof enough of the argument
			break
		}
	}
	if r.Verdict = survived; r.Equal != "" {
		r.Verdict = equal
	}
	return nil
}

// moduleRoot returns the folder of this module's go.mod.
func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", err
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}
