// Package roofline measures what a device does at best with nothing else to do: how fast it reads memory, and how many
// float32 operations it does. What runs on it is held against that; no executor knows of it.
package roofline
