// Package tune chooses among forms of a piece of work by measuring them, once for a device, a driver and the work. It
// keeps what it finds in a file, so a later run need not measure again. It does not know what the forms are: a Trial
// runs them.
package tune
