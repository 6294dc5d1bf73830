package strictyaml

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Origins says where each value that was given stands, by its dotted path:
// buffer.bytes, handlers[0].http.url.
type Origins map[string]Position

// Decode decodes data into the struct that into points to. file names the source in
// what is reported. It goes on after a mistake; what is wrong keeps its old value.
func Decode(file string, data []byte, into any) (Origins, Problems) {
	d := decoder{file: file, origins: make(Origins), anchors: make(map[string]ast.Node)}
	f, err := parser.ParseBytes(data, 0)
	switch {
	case err != nil:
		d.syntax(err)
	case len(f.Docs) > 1:
		d.report("", f.Docs[1].Start, "a second document begins here, there must be one")
	case len(f.Docs) == 1 && f.Docs[0].Body != nil:
		ast.Walk(&d, f.Docs[0].Body)
		d.decode(f.Docs[0].Body, target{value: reflect.ValueOf(into).Elem()})
	}
	return d.origins, d.problems
}

// target is where a value goes.
type target struct {
	value reflect.Value
	path  string
	rules reflect.StructTag
}

func (t target) name() string {
	if t.path == "" {
		return "the file"
	}
	return t.path
}

type decoder struct {
	file     string
	anchors  map[string]ast.Node
	origins  Origins
	problems Problems
}

// Visit collects the anchors; it is called by ast.Walk.
func (d *decoder) Visit(n ast.Node) ast.Visitor {
	if a, ok := n.(*ast.AnchorNode); ok {
		d.anchors[a.Name.GetToken().Value] = a.Value
	}
	return d
}

func (d *decoder) decode(n ast.Node, t target) {
	n, ok := d.resolve(n)
	if !ok {
		return
	}
	d.origins[t.path] = position(n.GetToken())
	_, null := n.(*ast.NullNode)
	if optional := t.value.Kind() == reflect.Pointer; optional && (!null || t.value.Type().Elem().Kind() == reflect.Struct) {
		t.value.Set(reflect.New(t.value.Type().Elem()))
		t.value = t.value.Elem()
	}
	if null { // as if the key was not there; an optional mapping is there, and empty
		return
	}
	if isScalar(n) && isLeaf(t.value.Type()) {
		d.scalar(n, t)
		return
	}
	switch t.value.Kind() {
	case reflect.Struct:
		d.structure(n, t)
	case reflect.Map:
		d.dictionary(n, t)
	case reflect.Slice:
		d.list(n, t)
	default:
		d.mismatch(n, t)
	}
}

func (d *decoder) structure(n ast.Node, t target) {
	pairs, ok := d.pairs(n)
	if !ok {
		d.mismatch(n, t)
		return
	}
	fields := fieldsOf(t.value.Type())
	for _, p := range pairs {
		f, ok := fields.named(p.name)
		if !ok {
			d.report(join(t.path, p.name), p.key, "unknown key %q (%s)", join(t.path, p.name), suggest(p.name, fields.names()))
			continue
		}
		d.decode(p.value, target{value: t.value.FieldByIndex(f.Index), path: join(t.path, p.name), rules: f.Tag})
	}
}

func (d *decoder) dictionary(n ast.Node, t target) {
	pairs, ok := d.pairs(n)
	if !ok {
		d.mismatch(n, t)
		return
	}
	entries := reflect.MakeMap(t.value.Type())
	for _, p := range pairs {
		element := reflect.New(t.value.Type().Elem()).Elem()
		d.decode(p.value, target{value: element, path: join(t.path, p.name)})
		entries.SetMapIndex(reflect.ValueOf(p.name), element)
	}
	t.value.Set(entries)
}

func (d *decoder) list(n ast.Node, t target) {
	sequence, ok := n.(*ast.SequenceNode)
	if !ok {
		d.mismatch(n, t)
		return
	}
	elements := reflect.MakeSlice(t.value.Type(), len(sequence.Values), len(sequence.Values))
	for i, v := range sequence.Values {
		d.decode(v, target{value: elements.Index(i), path: fmt.Sprintf("%s[%d]", t.path, i)})
	}
	t.value.Set(elements)
}

func (d *decoder) scalar(n ast.Node, t target) {
	if !accepts(t.value, n) {
		d.mismatch(n, t)
		return
	}
	if err := setText(t, scalarText(n)); err != nil {
		d.report(t.path, n.GetToken(), "%s %v", t.name(), err)
	}
}

func (d *decoder) mismatch(n ast.Node, t target) {
	d.report(t.path, n.GetToken(), "%s is %s, must be %s", t.name(), describeNode(n), describeType(t.value.Type()))
}

func (d *decoder) report(path string, at *token.Token, format string, args ...any) {
	d.problems = append(d.problems, Problem{Path: path, Source: d.file, Position: position(at), Text: fmt.Sprintf(format, args...)})
}

func (d *decoder) syntax(err error) {
	if e, ok := errors.AsType[yaml.Error](err); ok {
		message := e.GetMessage()
		if strings.Contains(message, "character '\t'") {
			message = "there is a tab where YAML wants spaces"
		}
		d.report("", e.GetToken(), "%s", message)
		return
	}
	d.report("", nil, "%v", err)
}

func position(t *token.Token) Position {
	if t == nil || t.Position == nil {
		return Position{}
	}
	return Position{Line: t.Position.Line, Column: t.Position.Column}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
