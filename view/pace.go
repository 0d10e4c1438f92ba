package view

import "time"

// Pictures are drawn on the device that computes the text. So they may take only a share of its time.
const (
	share    = 20               // a picture may take one part in so many of the time
	shortest = time.Second / 60 // from one picture to the next
	longest  = 3 * time.Second  // the same, however long a picture takes
)

// pace says when the next picture is due.
type pace struct {
	began time.Time
	took  time.Duration // the last picture
}

// drew notes a picture.
func (p *pace) drew(began time.Time, took time.Duration) { p.began, p.took = began, took }

// wait returns how long the next picture should wait from now on. busy says that the text goes on, on the same device.
func (p *pace) wait(now time.Time, busy bool) time.Duration {
	between := shortest
	if busy {
		between = min(max(shortest, share*p.took), longest)
	}
	return max(p.began.Add(between).Sub(now), 0)
}
