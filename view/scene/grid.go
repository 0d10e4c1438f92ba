package scene

// grid is where the pictures of the heads stand. Layers are columns, or rows, whichever gives larger pictures.
type grid struct {
	x, y, side    int
	pitch         int // from one picture to the next
	layers, heads int
	across        bool // reports whether layers are columns
	only          int  // the head that stands there alone; -1: all do
}

// gridIn fits all heads into an area, with a gap between them. Where a number has a pixel or more, all numbers have
// equally many.
func gridIn(a area, shape Shape, gap int) grid {
	fit := func(columns, rows int) int { return min((a.w+gap)/columns, (a.h+gap)/rows) - gap }
	g := grid{layers: shape.Layers, heads: shape.Heads, only: -1}
	g.side = fit(shape.Heads, shape.Layers)
	if side := fit(shape.Layers, shape.Heads); side > g.side {
		g.side, g.across = side, true
	}
	if g.side >= shape.Size {
		g.side -= g.side % shape.Size
	}
	g.side = max(g.side, 1)
	g.pitch = g.side + gap
	columns, rows := g.size()
	g.x, g.y = a.x+(a.w-columns*g.pitch+gap)/2, a.y+(a.h-rows*g.pitch+gap)/2
	return g
}

// size returns the number of columns and rows.
func (g *grid) size() (columns, rows int) {
	if g.across {
		return g.layers, g.heads
	}
	return g.heads, g.layers
}

// corner returns the corner of a head's picture.
func (g *grid) corner(layer, head int) (x, y int) {
	if g.across {
		return g.x + layer*g.pitch, g.y + head*g.pitch
	}
	return g.x + head*g.pitch, g.y + layer*g.pitch
}

// head returns the head at a pixel, counted over all layers; -1: none.
func (g *grid) head(x, y int) int {
	if x < g.x || y < g.y || g.pitch == 0 {
		return -1
	}
	if g.only >= 0 {
		if x < g.x+g.side && y < g.y+g.side {
			return g.only
		}
		return -1
	}
	column, row := (x-g.x)/g.pitch, (y-g.y)/g.pitch
	if (x-g.x)%g.pitch >= g.side || (y-g.y)%g.pitch >= g.side {
		return -1
	}
	layer, head := row, column
	if g.across {
		layer, head = column, row
	}
	if layer >= g.layers || head >= g.heads {
		return -1
	}
	return layer*g.heads + head
}

// tiles returns the pictures, one run for each layer. Those that do not fit the picture are left out.
func (g *grid) tiles(width, height int) (list []Tiles) {
	if g.only >= 0 {
		t := Tiles{Layer: g.only / g.heads, First: g.only % g.heads, Count: 1, X: g.x, Y: g.y, Side: g.side}
		if t.X < 0 || t.Y < 0 || t.X+t.Side > width || t.Y+t.Side > height {
			return nil
		}
		return []Tiles{t}
	}
	for layer := range g.layers {
		t := Tiles{Layer: layer, Side: g.side}
		t.X, t.Y = g.corner(layer, 0)
		if t.X < 0 || t.Y < 0 {
			continue
		}
		for head := range g.heads {
			if x, y := g.corner(layer, head); x+g.side <= width && y+g.side <= height {
				t.Count = head + 1
			}
		}
		if g.across {
			t.StepY = g.pitch
		} else {
			t.StepX = g.pitch
		}
		if t.Count > 0 {
			list = append(list, t)
		}
	}
	return list
}
