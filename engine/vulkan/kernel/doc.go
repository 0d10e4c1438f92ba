// Package kernel makes the ops of a program into steps. A step knows where its weights lie, in which forms it can run a
// batch, and how to record each form. Recording a step measures nothing, allocates nothing on the device and submits
// nothing. What a form reads besides the weights is provided before.
package kernel
