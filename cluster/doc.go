// Package cluster lets replicas of a server work for each other, by NATS.
//
//	n, err := cluster.Join(ctx, cluster.Options{URL: "nats://10.0.0.1", Name: "rwkv", Group: digest})
//	n.Serve(func() cluster.Load { … }, func(ctx context.Context, request []byte, send func([]byte) error) { … }, reply)
//	for _, p := range n.Peers() { … }          // who is there, and how much each has to do
//	call, err := n.Call(ctx, p.ID, request)    // has a peer work
//	frame, err := call.Next()                  // until io.EOF, or ErrLost
//	n.Ask(ctx, question, take)                 // has all peers reply at once
//
// A replica is a member of a group: those of one group may take over each other's work. It publishes its [Load] four
// times a second, by which others know that it is there.
//
// # Calls
//
// A call is a request and the frames that answer it, both of any size. NATS delivers a message once or not at all, so
// frames are numbered. A frame that is missing, a second and a half without a sign of the peer (half of that before its
// first one), or a peer that nobody knows ends the call with [ErrLost]: then it is not known what the peer has done, and
// nothing of it comes any more. Frames go to a subject that has the number of the call, so frames of an earlier call are
// nobody's.
//
// The caller confirms what it has taken. A peer that is Window bytes ahead waits, and one whose caller confirms nothing
// for some seconds gives up.
package cluster
