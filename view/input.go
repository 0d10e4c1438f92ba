//go:build view

package view

import (
	"github.com/go-gl/glfw/v3.3/glfw"

	"github.com/rwkv-gpu/rwkv-gpu/view/scene"
)

// keys are those of a scene, by GLFW's.
var keys = map[glfw.Key]scene.Key{
	glfw.KeyEnter: scene.Enter, glfw.KeyKPEnter: scene.Enter, glfw.KeyEscape: scene.Escape, glfw.KeyBackspace: scene.Backspace,
	glfw.KeyLeft: scene.Left, glfw.KeyRight: scene.Right, glfw.KeyUp: scene.Up, glfw.KeyDown: scene.Down, glfw.KeyHome: scene.Home,
	glfw.KeyEnd: scene.End, glfw.KeyPageUp: scene.PageUp, glfw.KeyPageDown: scene.PageDown, glfw.KeyF2: scene.F2, glfw.KeyF3: scene.F3,
}

// listen has what somebody does in the window change a scene, and tells the wishes that follow.
func (w *Window) listen(s *scene.Scene, wish func(scene.Wish)) {
	w.glfw.SetKeyCallback(func(_ *glfw.Window, key glfw.Key, _ int, action glfw.Action, mods glfw.ModifierKey) {
		if action == glfw.Release {
			return
		}
		if key == glfw.KeyQ && mods&glfw.ModControl != 0 {
			wish(s.Press(scene.Quit))
		} else if k, ok := keys[key]; ok {
			wish(s.Press(k))
		}
	})
	w.glfw.SetCharCallback(func(_ *glfw.Window, r rune) { wish(s.Char(r)) })
	w.glfw.SetMouseButtonCallback(func(g *glfw.Window, button glfw.MouseButton, action glfw.Action, _ glfw.ModifierKey) {
		switch {
		case button != glfw.MouseButtonLeft:
		case action == glfw.Press:
			wish(s.Click(w.pixel(g.GetCursorPos())))
		default:
			s.Drop()
		}
	})
	w.glfw.SetCursorPosCallback(func(_ *glfw.Window, x, y float64) { wish(s.Drag(w.pixel(x, y))) })
	w.glfw.SetScrollCallback(func(g *glfw.Window, _, dy float64) {
		if dy != 0 {
			x, y := w.pixel(g.GetCursorPos())
			s.Wheel(x, y, dy > 0)
		}
	})
}
