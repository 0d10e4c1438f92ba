// Package fetch brings one file from a server to a path, whole and checked, or says why not.
//
// The file is cut into segments of equal size. Some connections ask for ranges of segments at once and write each
// segment at its place in a part file. When a segment is complete, a line of the journal says so, with the checksum of
// its bytes. A killed process leaves both files. The next one reads the journal, keeps the segments whose bytes still
// have their checksums, and fetches the others.
//
// When all segments are there, the whole part file is hashed. Only if the hash is the wanted one does the part file get
// the target's name, by a rename. So a file under the target's name is always complete. If the hash is another one, all
// is fetched a second time on one connection without ranges, since the server may have lied about a range.
//
// A request fails if the server tells an error, closes early, answers with another range, or sends too few bytes for
// some time. It is repeated after a pause, which grows, or which the server has asked for. Only failures without any
// finished segment between them count towards giving up.
//
// A lock file lets one process at a time fetch a target. Whoever waits finds the target there and fetches nothing.
package fetch
