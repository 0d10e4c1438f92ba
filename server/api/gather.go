package api

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"time"
)

// Part is what came of one of several answers.
type Part struct {
	Index int
	Piece Piece
	End   bool // reports whether the answer has ended: then Piece is empty
}

// Gather waits for several answers at once, and closes them all before it returns. It calls begin first, unless that is nil,
// then each with what comes, in the order in which it comes, and idle when nothing has come for a while (unless that is 0).
// An error of an answer or of a function ends all, and so does a panic of a function, which becomes an error.
func Gather(streams []Stream, begin func() error, each func(Part) error, while time.Duration, idle func() error) (err error) {
	parts, stop := make(chan part), make(chan struct{})
	var readers sync.WaitGroup
	for i, s := range streams {
		readers.Add(1)
		go func() {
			defer readers.Done()
			read(i, s, parts, stop)
		}()
	}
	defer func() {
		if p := recover(); p != nil { // so that who reads a stream is told that it is not whole
			err = panicked(p)
		}
		close(stop)
		for _, s := range streams {
			s.Close() // so that no reader waits any longer
		}
		readers.Wait()
	}()
	if begin != nil {
		if err := begin(); err != nil {
			return err
		}
	}
	return gather(len(streams), parts, each, while, idle)
}

type part struct {
	Part
	err error
}

func read(i int, s Stream, parts chan<- part, stop <-chan struct{}) {
	for {
		piece, err := next(s)
		p := part{Part{i, piece, errors.Is(err, io.EOF)}, err}
		if p.End {
			p.err = nil
		}
		select {
		case parts <- p:
		case <-stop:
			return
		}
		if err != nil {
			return
		}
	}
}

// next returns what s.Next does, and a panic as an error: it would end the server.
func next(s Stream) (piece Piece, err error) {
	err = safely(func() (err error) { piece, err = s.Next(); return err })
	return piece, err
}

// safely returns what f does, and a panic as an error.
func safely(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked(p)
		}
	}()
	return f()
}

// Wait calls work in a goroutine and waits for its end, for a function of Gather that takes long. Meanwhile it calls
// idle whenever a while has passed, unless that is 0. The error is that of idle if there is one, else that of work, and
// a panic is one too. An error of idle does not end work: the context of a request ends it when the reader is gone.
func Wait(work func() error, while time.Duration, idle func() error) error {
	if while <= 0 {
		return safely(work)
	}
	ended := make(chan error, 1)
	go func() { ended <- safely(work) }()
	quiet := time.NewTicker(while)
	defer quiet.Stop()
	var gone error
	for {
		select {
		case err := <-ended:
			return cmp.Or(gone, err)
		case <-quiet.C:
			if gone == nil {
				gone = safely(idle)
			}
		}
	}
}

// panicked returns the error of a panic, for the log.
func panicked(p any) error { return fmt.Errorf("panic: %v\n%s", p, debug.Stack()) }

func gather(open int, parts <-chan part, each func(Part) error, while time.Duration, idle func() error) error {
	var quiet <-chan time.Time
	timer := (*time.Timer)(nil)
	if while > 0 {
		timer = time.NewTimer(while)
		defer timer.Stop()
		quiet = timer.C
	}
	for open > 0 {
		var err error
		select {
		case p := <-parts:
			if p.End {
				open--
			}
			if err = p.err; err == nil {
				err = each(p.Part)
			}
		case <-quiet:
			err = idle()
		}
		if err != nil {
			return err
		}
		if timer != nil {
			timer.Reset(while)
		}
	}
	return nil
}
