// Package bulk works through files of requests: jobs of any length that survive every end of their process.
//
// The input has a request a line, in the form of OpenAI's Batch API. Check reads it once, before work begins: it counts the
// items, and refuses a file in which two have one custom_id. Run answers the items by a Worker, many at once within a
// Budget, and appends each result to a journal. Finish writes the results in the order of the input, and what failed to a
// file of its own.
//
// A line of the journal counts if it is whole, as its checksum says. So a process may be killed at any time: Run goes on
// with the items that have no such line. Memory does not grow with the input, but for two bits an item.
package bulk
