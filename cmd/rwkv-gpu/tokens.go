package main

import (
	"strconv"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// parseTokens reads ids separated by commas or spaces.
func parseTokens(flag, list string) ([]int, error) {
	fields := strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })
	if len(fields) == 0 {
		return nil, usagef(flag, "want token ids such as 1,2,3, got none")
	}
	ids := make([]int, len(fields))
	for i, field := range fields {
		id, err := strconv.Atoi(field)
		if err != nil || id < 0 {
			return nil, usagef(flag, "want token ids such as 1,2,3, got %q", field)
		}
		ids[i] = id
	}
	return ids, nil
}

// checkTokens returns an error unless all ids are below size.
func checkTokens(flag string, ids []int, size int) error {
	for i, id := range ids {
		if id >= size {
			return usagef(flag, "token %d: want an id below %d, got %d", i, size, id)
		}
	}
	return nil
}

// encode appends the ids of a prompt. A prompt that the vocabulary cannot spell is wrong usage.
func encode(tok tokenizer.Tokenizer, ids []int, text []byte) ([]int, error) {
	ids, err := tok.AppendEncode(ids, text)
	if err != nil {
		return nil, usagef("prompt", "%w", err)
	}
	return ids, nil
}

// formatTokens is the inverse of parseTokens.
func formatTokens(ids []int) string {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = strconv.Itoa(id)
	}
	return strings.Join(words, ",")
}
