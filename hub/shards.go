package hub

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// shardName is the name of one of several files that together hold the weights of a model, as transformers writes them.
var shardName = regexp.MustCompile(`^(.*)-([0-9]{5})-of-([0-9]{5})(\.safetensors|\.bin)$`)

// isShard reports whether a file is one of several that hold a model. It is no model by itself.
func isShard(file string) bool {
	m := shardName.FindStringSubmatch(file)
	return len(m) > 0 && m[3] != "00001"
}

const configFile = "config.json"

// isDirectoryModel reports whether files are those of one model in the layout of transformers, with all of its shards.
func isDirectoryModel(files []string) bool {
	weights := false
	missing := map[string]int{} // by the name of all shards
	for _, file := range files {
		if strings.Contains(file, "/") || !strings.HasSuffix(file, ".safetensors") && !strings.HasSuffix(file, ".bin") {
			continue
		}
		weights = true
		if m := shardName.FindStringSubmatch(file); m != nil {
			all, _ := strconv.Atoi(m[3]) // five digits
			set := m[1] + "-" + m[3] + m[4]
			if _, ok := missing[set]; !ok {
				missing[set] = all
			}
			if i, _ := strconv.Atoi(m[2]); 1 <= i && i <= all {
				missing[set]--
			}
		}
	}
	for _, n := range missing {
		if n != 0 {
			return false
		}
	}
	return weights && slices.Contains(files, configFile)
}

// rank orders the files of a model for fetching: what makes a model of them comes last, so that a pull that ends before
// leaves none.
func rank(file string) int {
	switch {
	case file == configFile:
		return 2
	case isModelFile(file):
		return 1
	}
	return 0
}
