// Command sizing says how many servers a cluster needs, by simulation. It takes measured service times and a description of
// what clients do, and plays requests through 1 to 1,000 replicas:
//
//	go run ./bench/sizing                                                       (the figures of docs/cluster-operations.md)
//	go run ./bench/sizing --costs FILE.json --bench FILE.json --replicas 1,10,100 --goal 2s
//	go run ./bench/sizing --measure http://HOST:8080,http://HOST:8081 --rate 2 --trace FILE.json
//
// For each number of replicas it looks for the most new conversations a second for which 95 of 100 first tokens come within
// the goal, and says what the limit is: the replicas, NATS' messages, its records or its states.
//
// # The model
//
// Sessions arrive at random (Poisson). Each has some turns, with a time to think between them. A turn goes to any replica,
// its front, which chooses the one that computes as the server does: the holder of the state if it has a free sequence,
// else itself, unless it has no free sequence, or an eighth of its sequences more to do than another one. Then it is that
// with the least to do of itself and two others, taken at random, by what these told last, four times a second. Beginnings
// that conversations share are none here.
//
// A replica works in rounds, as the scheduler does (engine/schedule): some steps of all sequences that decode, then a piece
// of the prompts. Times of steps and passes are those that bench prints. What connections, events and messages cost is
// work of the front and of the replica that computes. It slows rounds down where the model is computed on the same core.
//
// NATS is three queues: messages, shared by its servers, and records and states, each kept by the server that leads them.
// Words about loads go from each replica to each other one, so their number grows with the square of the replicas.
//
// With --measure it sends the same sessions to servers that run, and notes what came in a trace. With --replay it plays a
// trace through the simulation, and compares the two.
package main
