package sample

import "math"

// Candidate is an id with its log-probability.
type Candidate struct {
	ID      int
	Logprob float32 // natural, of the softmax of the logits as the model gave them
}

// Logprobs appends the top likeliest ids to dst, the likeliest first, and among equals the lowest id. It returns them
// with the log-probability of id, under the softmax of logits before bias, penalties, filters and temperature. The
// error names a value that is no logit (NaN or +Inf), or says that all are -Inf.
func Logprobs(logits []float32, id, top int, dst []Candidate) (logprob float32, candidates []Candidate, err error) {
	norm, _, err := LogSum(logits)
	if err != nil {
		return 0, dst, err
	}
	list := dst[len(dst):]
	for i, v := range logits {
		list = insert(list, Candidate{i, v}, top)
	}
	for i := range list {
		list[i].Logprob = float32(float64(list[i].Logprob) - norm)
	}
	return float32(float64(logits[id]) - norm), append(dst, list...), nil
}

// LogSum returns log(sum(exp(logits))) and the id of the largest logit, the lowest among equals. An id's log-probability
// is its logit minus that sum. The error is that of Logprobs.
func LogSum(logits []float32) (sum float64, likeliest int, err error) {
	best, largest := argMax(logits)
	if best < 0 {
		return 0, best, &LogitsError{-1, float32(math.Inf(-1))}
	}
	if !(largest <= math.MaxFloat32) {
		return 0, best, &LogitsError{best, largest}
	}
	for _, v := range logits {
		sum += math.Exp(float64(v) - float64(largest))
	}
	return float64(largest) + math.Log(sum), best, nil
}

// insert puts c into a list of at most top candidates, in falling order; c comes behind its equals.
func insert(list []Candidate, c Candidate, top int) []Candidate {
	if len(list) == top {
		if top == 0 || !(c.Logprob > list[top-1].Logprob) {
			return list
		}
		list = list[:top-1]
	}
	list = append(list, c)
	for i := len(list) - 1; i > 0 && list[i].Logprob > list[i-1].Logprob; i-- {
		list[i], list[i-1] = list[i-1], list[i]
	}
	return list
}
