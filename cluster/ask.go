package cluster

import (
	"bytes"
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
)

// Ask sends all peers a question and hands take what they reply, until take reports that this is enough, or each peer
// that is there has replied. The error is that of ctx, or why nobody could be asked.
func (n *Node) Ask(ctx context.Context, question []byte, take func(reply []byte) (enough bool)) error {
	left := len(n.Peers())
	if left == 0 || !n.Connected() {
		return nil
	}
	inbox := n.nc.NewInbox()
	replies, err := n.nc.SubscribeSync(inbox)
	if err == nil {
		defer func() { _ = replies.Unsubscribe() }() // that of a connection that is closed needs none
		err = n.nc.PublishRequest(n.subject("all", n.o.Group), inbox, append([]byte(n.id+" "), question...))
	}
	if err != nil {
		return fmt.Errorf("cluster: asking all: %w", err)
	}
	for ; left > 0; left-- {
		m, err := replies.NextMsgWithContext(ctx)
		if err != nil {
			return fmt.Errorf("cluster: asking all: %w", err)
		}
		if take(m.Data) {
			return nil
		}
	}
	return nil
}

// asked replies to a question of a peer.
func (n *Node) asked(m *nats.Msg) {
	id, question, found := bytes.Cut(m.Data, []byte{' '})
	if !found || string(id) == n.id || n.reply == nil {
		return
	}
	_ = m.Respond(n.reply(question)) // a peer that does not hear of it goes on without
}
