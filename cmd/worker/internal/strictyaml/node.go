package strictyaml

import (
	"fmt"
	"slices"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// maxAliases bounds how many aliases may lead to each other; a circle has no end.
const maxAliases = 16

// resolve returns the node that n stands for: what an alias or an anchor names.
func (d *decoder) resolve(n ast.Node) (ast.Node, bool) {
	for range maxAliases {
		switch node := n.(type) {
		case *ast.AnchorNode:
			n = node.Value
		case *ast.AliasNode:
			target, ok := d.anchors[node.Value.GetToken().Value]
			if !ok {
				d.report("", node.GetToken(), "alias *%s has no anchor", node.Value.GetToken().Value)
				return nil, false
			}
			n = target
		case *ast.TagNode:
			d.report("", node.GetToken(), "tag %s is not supported", node.GetToken().Value)
			return nil, false
		default:
			return n, n != nil
		}
	}
	d.report("", n.GetToken(), "alias leads to itself")
	return nil, false
}

// pair is a key of a mapping and its value.
type pair struct {
	name  string
	key   *token.Token
	value ast.Node
}

// pairs returns what is in a mapping, merged mappings (<<) included.
func (d *decoder) pairs(n ast.Node) ([]pair, bool) {
	return d.pairsWithin(n, maxAliases)
}

func (d *decoder) pairsWithin(n ast.Node, depth int) ([]pair, bool) {
	mapping, ok := n.(*ast.MappingNode)
	if !ok || depth == 0 {
		return nil, false
	}
	var own, merged []pair
	for _, v := range mapping.Values {
		if !v.Key.IsMergeKey() {
			own = append(own, pair{keyText(v.Key), v.Key.GetToken(), v.Value})
			continue
		}
		m, ok := d.resolve(v.Value)
		if !ok {
			continue
		}
		ps, ok := d.pairsWithin(m, depth-1)
		if !ok {
			d.report("", v.Key.GetToken(), "<< must be followed by an alias of a mapping")
		}
		merged = append(merged, ps...)
	}
	return overlay(merged, own), true
}

// overlay returns base less what top has too, and top.
func overlay(base, top []pair) []pair {
	base = slices.DeleteFunc(base, func(b pair) bool {
		return slices.ContainsFunc(top, func(t pair) bool { return t.name == b.name })
	})
	return append(base, top...)
}

func keyText(k ast.MapKeyNode) string { return k.GetToken().Value }

func isScalar(n ast.Node) bool {
	switch n.(type) {
	case *ast.StringNode, *ast.LiteralNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return true
	}
	return false
}

func scalarText(n ast.Node) string {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value
	case *ast.LiteralNode:
		return n.Value.Value
	}
	return n.GetToken().Value
}

// maxShown bounds how much of a value is shown in an error.
const maxShown = 64

// describeNode says what n is, with its value if that is short.
func describeNode(n ast.Node) string {
	switch n := n.(type) {
	case *ast.MappingNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.StringNode, *ast.LiteralNode:
		return fmt.Sprintf("%.*q", maxShown, scalarText(n))
	}
	return n.GetToken().Value
}
