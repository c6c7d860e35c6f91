package policy

import "bytes"

// Format writes a document in the form in which ECR returns policies: a member a line, indented by two spaces for each
// object around it, " : " behind names, and arrays in the line in which they begin. The order of members, and numbers and
// strings as they are written, stay. To format twice changes nothing. The error is a *MalformedError for a text that is no
// JSON, or larger than MaxDocument.
func Format(document []byte) ([]byte, error) {
	if _, err := parse(document); err != nil {
		return nil, err
	}
	f := formatter{lexer: lexer{text: document}}
	for {
		token, ok := f.next()
		if !ok {
			return f.out.Bytes(), nil
		}
		f.write(token)
	}
}

type formatter struct {
	lexer
	out bytes.Buffer
	// open holds the brackets of the containers that are not closed yet.
	open []byte
}

func (f *formatter) write(token span) {
	switch c := f.text[token.start]; c {
	case '{', '[':
		f.out.WriteByte(c)
		f.open = append(f.open, c)
		if f.closes() {
			f.open = f.open[:len(f.open)-1]
			closing, _ := f.next()
			f.out.WriteByte(' ')
			f.out.Write(closing.in(f.text))
			return
		}
		f.separate()
	case '}', ']':
		f.open = f.open[:len(f.open)-1]
		if c == '}' {
			f.line()
		} else {
			f.out.WriteByte(' ')
		}
		f.out.WriteByte(c)
	case ',':
		f.out.WriteByte(c)
		f.separate()
	case ':':
		f.out.WriteString(" : ")
	default:
		f.out.Write(token.in(f.text))
	}
}

// closes reports whether the next token ends a container.
func (f *formatter) closes() bool {
	ahead := f.lexer
	token, _ := ahead.next()
	return depthOf(f.text, token) < 0
}

// separate writes what stands before an element of the innermost container.
func (f *formatter) separate() {
	if f.open[len(f.open)-1] == '{' {
		f.line()
	} else {
		f.out.WriteByte(' ')
	}
}

func (f *formatter) line() {
	f.out.WriteByte('\n')
	for range bytes.Count(f.open, []byte{'{'}) {
		f.out.WriteString("  ")
	}
}
