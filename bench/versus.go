package bench

import (
	"fmt"
	"io"
	"strconv"
)

// table is the one table of the comparison.
func (v *Versus) table() *table {
	t := &table{head: []string{"test", "batch", "unit", "ours", "peer", "ours / peer", "min", "max", "better is"}}
	for i := range v.Rows {
		x := &v.Rows[i]
		unit, show, better := x.Unit, number, "less"
		switch x.Unit {
		case perSecond:
			better = "more"
		case atPeak:
			unit, show = "peak memory", func(v float64) string { return size(int(v)) }
		case inSeconds:
			unit = "s to the first token"
		}
		cells := []string{x.Test, strconv.Itoa(x.Batch), unit}
		for _, side := range []*Rates{x.Ours, x.Peer} {
			if side == nil {
				cells = append(cells, "-")
				continue
			}
			cells = append(cells, show(side.Median))
		}
		ratio := []string{"-", "-", "-"}
		if r := x.Ratio; r != nil {
			ratio = []string{hundredths(r.Median), hundredths(r.Min), hundredths(r.Max)}
		}
		t.add(append(append(cells, ratio...), better)...)
	}
	return t
}

func hundredths(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }

// heading says what was compared, in lines.
func (v *Versus) heading() []string {
	of := func(who string, s *Side) string {
		build := s.Build
		if build != "" {
			build = " " + build
		}
		return fmt.Sprintf("%s: %s%s, %s, %d threads", who, s.Program, build, s.Device, s.Threads)
	}
	load := "not known"
	if v.Load.Average != nil {
		load = number(*v.Load.Average) + " before"
	}
	return []string{
		of("ours", &v.Ours), of("peer", &v.Peer),
		"model: " + v.Model,
		fmt.Sprintf("medians of %d rounds, in which the programs took turns", v.Rounds),
		fmt.Sprintf("load average: %s, on %d cores", load, v.Load.Cores),
	}
}

// Text writes the comparison for people.
func (v *Versus) Text(to io.Writer) error { return writeText(to, v.heading(), []*table{v.table()}) }

// Markdown writes the comparison as a table of Markdown.
func (v *Versus) Markdown(to io.Writer) error {
	return writeMarkdown(to, v.heading(), []*table{v.table()})
}
