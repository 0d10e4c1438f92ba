// Package generate continues one prompt on an engine, from its ids to the text that follows: for whoever has one text
// at a time to make. Package schedule is for many.
package generate
