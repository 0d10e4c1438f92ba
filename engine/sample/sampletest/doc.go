// Package sampletest has a constraint for tests of what draws under constraints.
package sampletest
