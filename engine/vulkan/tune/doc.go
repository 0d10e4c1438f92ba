// Package tune chooses among forms of a piece of work by measuring them, once for a device, a driver and the work. What
// it finds is kept in a file, by which a later run is spared the time. It knows nothing of what the forms are: a Trial
// runs them.
package tune
