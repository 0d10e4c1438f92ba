// Package replicas is the model of several processes that work for each other, behind the interface of one. A replica
// answers a request itself, or has another one do so that holds the conversation's state or has less to do. If that one
// dies in the middle of an answer, the answer goes on elsewhere, behind the last token that has come.
//
//	front                                  worker
//	Start, Request ----- a run ----------> Local.Start
//	Stream.Next   <----- frames ---------- Stream.Next: pieces with ids, then the result
//	                                       Run.Kept: the record of what was fed, and its state, to the store
//
// # No token is lost or told twice
//
// The front alone tells its client anything, in the order of frames, of one run at a time. A run that is lost has told
// a number of tokens, and of text a number of bytes. The next run gets these tokens, tells all that one run would, and
// the front drops what its client has. What a run tells is a function of the ids that were drawn, so the front may
// count.
//
// # The same ids everywhere
//
// The ids of an answer that comes back as text are those that were drawn for it, if the cache knows them (package
// statecache). So that every replica knows them, a worker writes them to a record before the front hears of the
// answer's end, or has the others hold them while the store takes nothing. Before a replica begins a request that has an
// answer in its prompt, it looks for that answer's record, unless it knows it, and takes over the state behind it: from
// the store or, if it is not there, by reading the ids.
package replicas
