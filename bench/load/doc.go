// Command load asks a server for streamed answers, as many clients at once do for a while, and measures how they come:
//
//	go run ./bench/load --clients 32 --duration 10m -- bin/rwkv-gpu serve --json --listen 127.0.0.1:0
//	go run ./bench/load --url http://127.0.0.1:8080 --key KEY
//
// A client begins chats, goes on with them, completes texts, and leaves some answers before their end. The command prints
// the time to the first piece of an answer and the times between pieces, and reads the server's /metrics beside: memory,
// goroutines, files, sequences. A server takes several tokens at once where its device draws several, so a piece may be
// more than one token.
//
// After that it may ask for more at once than the server takes (--overload), and go on until all is answered. It ends with
// status 1 if an answer failed, if the server was not idle afterwards, or if its memory grew all the time.
package main
