package hub

import (
	"path"
	"slices"
	"strings"
)

// Halves lists what pulls of models in the layout of transformers have left complete when they ended: shards whose model
// lacks others, and the small files beside them. Remove removes them.
func (c Cache) Halves() (list []Model) {
	for _, folder := range c.folders() {
		under := slices.ContainsFunc(c.unfinishedIn(folder), func(u Unfinished) bool { return isShard(u.File) })
		for _, commit := range c.snapshots(folder) {
			dir := c.snapshot(folder, commit)
			m := Model{Name: c.nameIn(folder, "", ""), Path: dir, cache: c, folder: folder, commit: commit}
			if files := half(filesBelow(dir), under); len(files) > 0 && m.add(dir, files) {
				list = append(list, m)
			}
		}
	}
	return list
}

// half returns which files of a snapshot belong to a model that lacks shards. under reports whether one is being fetched.
func half(files []string, under bool) (list []string) {
	if isDirectoryModel(files) || !under && !slices.ContainsFunc(files, isShard) {
		return nil
	}
	whole := slices.ContainsFunc(files, func(f string) bool { return isModelFile(f) && !isShard(f) })
	for _, f := range files {
		switch {
		case path.Base(f) != f:
		case isShard(f), !whole && (strings.HasSuffix(f, ".json") || isVocabulary(f)):
			list = append(list, f)
		}
	}
	return list
}

// Means reports whether a name means the model.
func (m *Model) Means(n Name) bool { return m.folder == n.folder() && m.matches(n) }
