package weights

import "regexp"

// Training keeps more than tensors in a file: sizes, devices, NumPy's numbers, settings. The classes and functions that
// make these may be named in a pickle; what they would make becomes an object of which nothing is kept. None is called.

// dtypes are the names of torch's types of elements.
var dtypes = regexp.MustCompile(`^torch\.(float|double|half|bfloat|complex|cfloat|cdouble|chalf|int|uint|short|long|bool|qint|quint|bits)[0-9a-z_]*$`)

// harmlessNames are the other names.
var harmlessNames = regexp.MustCompile(`^(` +
	`torch\.(Size|device|strided|per_tensor_affine|contiguous_format)|torch\.(nn\.parameter\.)?Parameter|torch\.Tensor|torch\.serialization\._get_layout` +
	`|numpy\.(_?core\.multiarray\.(scalar|_reconstruct)|dtype|ndarray|(bool|u?int[0-9]+|float[0-9]+)_?|dtypes\.[A-Za-z0-9]+DType)` +
	`|_codecs\.encode` +
	`|(builtins|__builtin__)\.(set|frozenset|complex|bytearray|slice|range|xrange|object|bool|int|long|float|str|unicode|bytes|list|tuple|dict)` +
	`|argparse\.Namespace|types\.SimpleNamespace|copy_?reg\._reconstructor` +
	`|pathlib\.(_local\.)?(Pure)?(Posix|Windows)?Path|datetime\.(datetime|date|time|timedelta|timezone)` +
	`|` + attributeDict + `)$`)

// attributeDict is Lightning's class of dicts for what a model was made with.
const attributeDict = `(pytorch_lightning|lightning|lightning_fabric)(\.[a-z_]+)*\.AttributeDict`

var dictClasses = regexp.MustCompile(`^(` + attributeDict + `|(builtins|__builtin__)\.dict)$`)

// isHarmless reports whether g may be named though it makes no tensor.
func (g global) isHarmless() bool {
	return dtypes.MatchString(string(g)) || harmlessNames.MatchString(string(g))
}

// isDict reports whether g is a class of dicts.
func (g global) isDict() bool { return dictClasses.MatchString(string(g)) }
