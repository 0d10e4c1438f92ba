// Package uploads keeps files that clients send, and files that are made for clients, by ids: which user's they are, how
// many bytes they take, and their content on the disk. A file is there once it is whole. A process may be killed at any
// time: what it had not finished is gone after the next start.
package uploads
