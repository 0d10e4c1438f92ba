// Package words renders counts and sizes for people.
package words

import "fmt"

// Plural returns n with a noun, such as "1 token" and "2 tokens".
func Plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Size renders bytes in binary units, with four digits.
func Size(bytes uint64) string {
	n := float64(bytes)
	for _, unit := range []string{"B", "KiB", "MiB"} {
		if n < 1024 {
			return fmt.Sprintf("%.4g %s", n, unit)
		}
		n /= 1024
	}
	return fmt.Sprintf("%.4g GiB", n)
}
