// Package batches is OpenAI's Batch API: clients upload files of requests, and batches of them are worked through when
// nobody waits for anything else. Batches and files are kept in a folder, by ids, each its user's own. A batch goes on
// after a restart, and after a process that was killed. What does the work is package bulk.
package batches
