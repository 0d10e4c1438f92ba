package hub

import (
	"cmp"
	"context"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/hub/fetch"
)

// Published is a model that can be had.
type Published struct {
	Name  Name
	Repo  string
	File  string
	About string // the family, for people
	Bytes int64  // -1 if the server does not tell
}

// Published lists the models of all families that a server has: of each family and size the newest first.
func (h *Hub) Published(ctx context.Context) (list []Published, err error) {
	var missing error
	for i := range families {
		f := &families[i]
		entries, err := h.tree(ctx, f.repo, mainRev)
		switch {
		case fetch.Is(err, fetch.NotFound), fetch.Is(err, fetch.Denied): // a mirror need not have all
			missing = err
			continue
		case err != nil:
			return nil, err
		}
		list = append(list, f.list(entries)...)
	}
	if len(list) == 0 {
		return nil, advised(missing)
	}
	return list, nil
}

// list returns a family's models among the files of its repository, the newest of each size first.
func (f *family) list(entries []entry) (list []Published) {
	type found struct {
		published
		bytes int64
	}
	var all []found
	for _, e := range entries {
		if p, ok := f.publishedAs(e.path); ok {
			all = append(all, found{p, e.size})
		}
	}
	slices.SortFunc(all, func(a, b found) int {
		return cmp.Or(cmp.Compare(len(a.size), len(b.size)), cmp.Compare(a.size, b.size), b.compare(a.published))
	})
	for i, p := range all {
		n := Name{Family: f.name, Size: p.size, Date: p.date}
		same := i > 0 && all[i-1].size == p.size && all[i-1].date == p.date
		if p.date == "" || same { // the short name means another file
			n = Name{Repo: f.repo, File: p.file}
		}
		list = append(list, Published{Name: n, Repo: f.repo, File: p.file, About: f.about, Bytes: p.bytes})
	}
	return list
}
