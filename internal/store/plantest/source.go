package plantest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Computed says which values a part of a statement can have that isn't a literal or a constant, such as the name of a table,
// by how the source spells it; nil for what it doesn't know, and an empty list for parts of statements that the test adds
// itself. A package that computes none has no such function: nil.
type Computed func(expr string) []string

// Statements are all SQL texts of the package whose folder the test runs in, as its source spells them, so that one that is
// added is tested too. A text that has a part which computed doesn't know fails the test.
func Statements(t testing.TB, computed Computed) []string {
	t.Helper()
	if computed == nil {
		computed = func(string) []string { return nil }
	}
	s := source{computed: computed, constants: map[string][]ast.Expr{}}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
		s.addConstants(file)
	}
	var all []string
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			if group, ok := n.(*ast.GenDecl); ok && group.Tok == token.CONST {
				// It may be a part of a statement: that is found where it is used.
				return false
			}
			expr, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			texts := s.texts(expr)
			if sum, ok := expr.(*ast.BinaryExpr); ok && len(texts) == 0 && s.begins(sum) {
				if !s.addedByTest(sum) {
					t.Errorf("%s: what the statement consists of is not known: %s", fset.Position(sum.Pos()), types.ExprString(sum))
				}
				return false
			}
			if len(texts) == 0 {
				return true
			}
			for _, text := range texts {
				if startsStatement.MatchString(text) {
					all = append(all, text)
				}
			}
			return false
		})
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// hasStatement reports whether a file of source has a text that begins as a statement does.
func hasStatement(name string) (found bool, err error) {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
	if err != nil {
		return false, err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			text, err := strconv.Unquote(literal.Value)
			found = found || err == nil && startsStatement.MatchString(text)
		}
		return !found
	})
	return found, nil
}

var startsStatement = regexp.MustCompile(`^(SELECT|INSERT|UPDATE|DELETE|WITH) `)

// source finds the values of expressions.
type source struct {
	computed  Computed
	constants map[string][]ast.Expr
}

func (s source) addConstants(file *ast.File) {
	ast.Inspect(file, func(n ast.Node) bool {
		group, ok := n.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			return true
		}
		for _, spec := range group.Specs {
			value := spec.(*ast.ValueSpec)
			for i, name := range value.Names {
				if i < len(value.Values) {
					s.constants[name.Name] = append(s.constants[name.Name], value.Values[i])
				}
			}
		}
		return false
	})
}

// parts are what a sum of texts consists of, in their order.
func parts(expr ast.Expr) []ast.Expr {
	if b, ok := expr.(*ast.BinaryExpr); ok && b.Op == token.ADD {
		return append(parts(b.X), parts(b.Y)...)
	}
	return []ast.Expr{expr}
}

// begins reports whether a sum begins as a statement does.
func (s source) begins(sum ast.Expr) bool {
	return slices.ContainsFunc(s.texts(parts(sum)[0]), startsStatement.MatchString)
}

// addedByTest reports whether a sum has a part of which the test knows that it adds the statement itself.
func (s source) addedByTest(sum ast.Expr) bool {
	return slices.ContainsFunc(parts(sum), func(part ast.Expr) bool {
		known := s.computed(types.ExprString(part))
		return known != nil && len(known) == 0
	})
}

// texts are the values that an expression of texts can have: none if it is no such expression.
func (s source) texts(expr ast.Expr) []string {
	switch e := expr.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return []string{text}
		}
		return nil
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			return nil
		}
		var all []string
		for _, left := range s.texts(e.X) {
			for _, right := range s.texts(e.Y) {
				all = append(all, left+right)
			}
		}
		return all
	case *ast.ParenExpr:
		return s.texts(e.X)
	case *ast.Ident:
		var all []string
		for _, value := range s.constants[e.Name] {
			all = append(all, s.texts(value)...)
		}
		if all != nil {
			return all
		}
	case *ast.CallExpr, *ast.IndexExpr, *ast.SelectorExpr:
	default:
		return nil
	}
	return s.computed(types.ExprString(expr))
}
