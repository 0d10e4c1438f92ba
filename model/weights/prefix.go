package weights

import (
	"slices"
	"strings"
)

// Training wraps a model in modules, whose names then stand in every tensor's: torch.compile's _orig_mod, DeepSpeed's
// _forward_module and module, DDP's module, FSDP's two, and model, as Lightning modules mostly call theirs.

// wrappers may stand anywhere in a name.
var wrappers = []string{"_orig_mod", "_forward_module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}

// unwrapped returns name without the parts that wrapping added. Layouts may use the parts module and model too. So
// these are dropped only at the beginning, and one model stays if a layout's names begin with it.
func unwrapped(name string) string {
	parts := strings.Split(name, ".")
	parts = slices.DeleteFunc(parts, func(p string) bool { return slices.Contains(wrappers, p) })
	i, model := 0, false
	for ; i < len(parts)-1 && (parts[i] == "module" || parts[i] == "model"); i++ {
		model = model || parts[i] == "model"
	}
	if model && !slices.Contains(bareParts, parts[i]) {
		i--
		parts[i] = "model"
	}
	return strings.Join(parts[i:], ".")
}

// bareParts begin names that no layout has behind model.
var bareParts = []string{"lm_head", "rwkv", "rwkv7"}
