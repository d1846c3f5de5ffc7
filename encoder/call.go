package encoder

// An EncodeOption changes what one call of Encode writes.
type EncodeOption func(*format)

// format is what one Encode is asked for beyond its value.
type format struct {
	lines     bool // a line for each element in place of one array
	newline   bool // after the value, as json.Encoder has it
	plainHTML bool // <, > and & as they are

	compression Compression
	min         int // bytes; what is shorter is not compressed
}

// Lines writes the elements of a slice, an array or a sequence as
// newline-delimited JSON: each on a line of its own, with a newline after the
// last one too. Any other value is the only line.
func Lines() EncodeOption { return func(f *format) { f.lines = true } }

// TrailingNewline writes a newline after the value, as json.Encoder does.
func TrailingNewline() EncodeOption { return func(f *format) { f.newline = true } }

// PlainHTML leaves <, > and & in strings as they are, as json.Encoder does
// after SetEscapeHTML(false).
func PlainHTML() EncodeOption { return func(f *format) { f.plainHTML = true } }
