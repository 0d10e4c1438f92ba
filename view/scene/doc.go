// Package scene says what stands where in the window, and what keys and clicks mean. It draws nothing and knows no
// device: a Picture is data, and so is what a Scene wants done.
package scene
