// Package roofline measures what a device does at best with nothing else to do: how fast it reads memory, and how many
// float32 operations it does. bench compares what runs on the device with that. Executors do not use it.
package roofline
