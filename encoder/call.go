package encoder

// An EncodeOption changes what one call of Encode, Marshal or MarshalInline
// writes.
type EncodeOption func(format) format

// format is what one call is asked for beyond its value.
type format struct {
	lines     bool // a line for each element in place of one array
	newline   bool // after the value, as json.Encoder has it
	plainHTML bool // <, > and & as they are

	compression Compression
	least       int // bytes; what is shorter is not compressed
}

func formatOf(opts []EncodeOption) (f format) {
	for _, o := range opts {
		f = o(f)
	}
	return f
}

// Lines writes the elements of a slice, an array or a sequence as
// newline-delimited JSON: each on a line of its own, with a newline after the
// last one too. Any other value is the only line.
func Lines() EncodeOption { return func(f format) format { f.lines = true; return f } }

// TrailingNewline writes a newline after the value, as json.Encoder does.
func TrailingNewline() EncodeOption { return func(f format) format { f.newline = true; return f } }

// PlainHTML leaves <, > and & in strings as they are, as json.Encoder does
// after SetEscapeHTML(false).
func PlainHTML() EncodeOption { return func(f format) format { f.plainHTML = true; return f } }

// html is 0 if HTML is escaped and 1 if not: there are two of what is written
// often.
func (f *format) html() int {
	if f.plainHTML {
		return 1
	}
	return 0
}
