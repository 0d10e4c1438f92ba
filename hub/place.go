package hub

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rwkv-gpu/rwkv-gpu/hub/fetch"
)

// symlink is os.Symlink, but in tests.
var symlink = os.Symlink

// place links a fetched blob, whose lock is held, into its snapshot, and returns the path there. On a system without
// links it moves the blob there, as huggingface_hub does.
func (h *Hub) place(ctx context.Context, c Cache, r *remote) (string, error) {
	link := filepath.Join(c.snapshot(r.folder, r.commit), filepath.FromSlash(r.path))
	blob := c.blob(r.folder, r.blob)
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		return "", err
	}
	if err := makeLink(link, blob); err != nil && !isFile(link) { // somebody else's, who took no lock, is as good
		// Remove holds the lock of what lies in a snapshot, here the file itself.
		release, err := fetch.Lock(ctx, h.Fetch, r.file.Name, c.lock(r.folder, filepath.Base(link)))
		if err != nil {
			return "", err
		}
		defer release()
		if err := os.Rename(blob, link); err != nil {
			return "", err
		}
	}
	return link, c.refer(r)
}

// makeLink makes a link that leads to a blob, in place of one that leads elsewhere.
func makeLink(link, blob string) error {
	to, err := filepath.Rel(filepath.Dir(link), blob)
	if err != nil {
		return err
	}
	if info, err := os.Lstat(link); err == nil && info.Mode()&fs.ModeSymlink != 0 { // to a blob that is gone, or another
		_ = os.Remove(link) // or making the link fails
	}
	if err := symlink(to, link); err != nil {
		return err
	}
	if _, err := os.Stat(link); err != nil { // some systems make links that they do not follow
		_ = os.Remove(link)
		return err
	}
	return nil
}
