package cpu

import (
	"fmt"
	"os"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu/kernel"
)

// levelVariable is the environment variable that chooses the level of all executors that are not told another one.
const levelVariable = "RWKV_CPU"

// levelKey is how people write a level.
func levelKey(l kernel.Level) string { return strings.ToLower(strings.ReplaceAll(l.String(), "-", "")) }

// Levels returns the names of the levels of processor features that this machine has, the best one last.
func Levels() (names []string) {
	for _, l := range kernel.Levels() {
		names = append(names, levelKey(l))
	}
	return names
}

// Built returns the names of the levels whose kernels this program holds, the best one last.
func Built() (names []string) {
	for _, l := range kernel.Built() {
		names = append(names, levelKey(l))
	}
	return names
}

// Compiler names the C compiler that made the kernels, with its version.
func Compiler() string { return kernel.Compiler() }

// LevelError is the error of a level that the processor does not have, or that does not exist.
type LevelError struct {
	Where string   // the environment variable that names it, or "level" for the option of an executor
	Want  []string // as Levels has them
	Got   string
}

func (e *LevelError) Error() string {
	return fmt.Sprintf("%s: want one of %s, which this processor has, got %q", e.Where, strings.Join(e.Want, ", "), e.Got)
}

// levelOf returns the level of a name. An empty one is what RWKV_CPU says, or else the best.
func levelOf(name string) (kernel.Level, error) {
	all := kernel.Levels()
	where := "level"
	if name == "" {
		name, where = os.Getenv(levelVariable), levelVariable
	}
	if name == "" {
		return all[len(all)-1], nil
	}
	for _, l := range all {
		if levelKey(l) == strings.ToLower(name) {
			return l, nil
		}
	}
	return 0, &LevelError{where, Levels(), name}
}

// Level returns the level of executors that are not told another one: what RWKV_CPU says, or else the best. Its error is
// a *LevelError.
func Level() (kernel.Level, error) { return levelOf("") }

// LevelName returns the name of Level, as Levels has it.
func LevelName() (string, error) {
	l, err := Level()
	if err != nil {
		return "", err
	}
	return levelKey(l), nil
}

// Arithmetic names what the last bits of results depend on besides the model.
func Arithmetic() string {
	l, err := Level()
	if err != nil {
		return "CPU"
	}
	return "CPU " + levelKey(l)
}
