package fetch

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Text returns a small answer's body and headers. An answer of more than most bytes is an error. Failures are repeated
// as those of Fetch.
func Text(ctx context.Context, o Options, src Source, most int64) (body []byte, header http.Header, err error) {
	r := retry{o: o.usual()}
	for {
		body, header, err := r.o.text(ctx, src, most)
		if err == nil {
			return body, header, nil
		}
		if err := r.again(ctx, Plain(src.URL), err); err != nil {
			return nil, nil, err
		}
	}
}

func (o *Options) text(ctx context.Context, src Source, most int64) ([]byte, http.Header, error) {
	a, err := o.do(ctx, http.MethodGet, src, nil, false)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = a.Body.Close() }() // read only
	body, err := io.ReadAll(io.LimitReader(a.Body, most+1))
	if err != nil {
		return nil, nil, err
	}
	if int64(len(body)) > most {
		return nil, nil, failed(Damaged, Plain(src.URL), "want an answer of at most %d bytes, got more", most)
	}
	return body, a.Header, nil
}

// Facts are what a server tells of a file without sending it.
type Facts struct {
	Size   int64  // bytes, -1 if it is not told
	ETag   string // the file's identity without quotes, "" if it is not told
	Commit string // of the hub's repository, "" elsewhere
	Date   string // Last-Modified
}

// Ask returns a file's facts. Failures are repeated as those of Fetch.
func Ask(ctx context.Context, o Options, src Source) (*Facts, error) {
	r := retry{o: o.usual()}
	for {
		f, err := r.o.facts(ctx, src)
		if err == nil {
			return f, nil
		}
		if err := r.again(ctx, Plain(src.URL), err); err != nil {
			return nil, err
		}
	}
}

func (o *Options) facts(ctx context.Context, src Source) (*Facts, error) {
	a, err := o.do(ctx, http.MethodHead, src, nil, true)
	if err != nil {
		return nil, err
	}
	_ = a.Body.Close() // a HEAD has none
	f := &Facts{Size: a.ContentLength, ETag: trimETag(a.Header.Get("ETag")), Date: a.Header.Get("Last-Modified"),
		Commit: a.commit}
	if a.linked == nil {
		return f, nil
	}
	f.ETag = trimETag(a.linked.Get(linkedETag))
	text := a.linked.Get("X-Linked-Size")
	if text == "" && a.StatusCode/100 != 2 {
		f.Size = -1 // the length is that of the redirect
	}
	if text != "" {
		if f.Size, err = strconv.ParseInt(text, 10, 64); err != nil || f.Size < 0 {
			return nil, fmt.Errorf("want a number of bytes in X-Linked-Size, got %q", text)
		}
	}
	return f, nil
}

// trimETag returns an entity tag without its mark of weakness and its quotes.
func trimETag(tag string) string { return strings.Trim(strings.TrimPrefix(tag, "W/"), `"`) }
