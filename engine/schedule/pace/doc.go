// Package pace measures how fast an engine feeds prompts and draws tokens, and says how much of either fits a time.
package pace
