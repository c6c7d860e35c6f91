package main

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// exported makes a name that begins with an upper-case letter.
func exported(name string) string {
	first, size := utf8.DecodeRuneInString(name)
	return string(unicode.ToUpper(first)) + name[size:]
}

// initialisms are the last words of names that Go writes in capitals.
var initialisms = []struct{ last, inGo string }{
	{"Id", "ID"}, {"Ids", "IDs"}, {"Arn", "ARN"}, {"Arns", "ARNs"}, {"Uri", "URI"}, {"Url", "URL"}, {"Urls", "URLs"},
}

// fieldName makes the name of a field: of a name with several words, the last is written as Go does.
func fieldName(name string) string {
	name = exported(name)
	for _, word := range initialisms {
		if before, ok := strings.CutSuffix(name, word.last); ok && before != "" && !unicode.IsUpper(rune(before[len(before)-1])) {
			return before + word.inGo
		}
	}
	return name
}

// valueName makes the name of an enumeration's value, such as ScanStatusInProgress of IN_PROGRESS.
func valueName(enum, value string) string {
	name := exported(enum)
	for _, word := range strings.FieldsFunc(value, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if word == strings.ToUpper(word) {
			word = strings.ToLower(word)
		}
		name += exported(word)
	}
	return name
}

// codeName makes the name of the constant of an error's code.
func codeName(shape string) string {
	return "Code" + exported(strings.TrimSuffix(shape, "Exception"))
}

// tableName makes the name of the variable of a shape's table.
func tableName(shape string) string { return "shape" + exported(shape) }
