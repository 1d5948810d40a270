package fedora

import (
	"slices"
	"strings"

	"github.com/samebits/samebits/distro/fedora/rpm"
)

// A rich is a requirement of several parts, such as "(a >= 1 and (b if c))":
// an operator over its operands, or one dependency.
type rich struct {
	one      rpm.Dependency // where there is no operator
	operator string
	operands []rich // of if and unless: what is needed, the condition, what is needed else
}

const maxRichDepth = 32

// parseRich reads a rich dependency. What cannot be read is left out.
func parseRich(text string) rich {
	p := richParser{rest: text}
	return p.group(0)
}

// needs appends the dependencies that may be needed.
func (r rich) needs(out []rpm.Dependency) []rpm.Dependency {
	if r.operator == "" {
		if r.one.Name == "" {
			return out
		}
		return append(out, r.one)
	}
	for i, o := range r.operands {
		condition := i == 1 && slices.Contains([]string{"if", "unless", "without"}, r.operator)
		if !condition {
			out = o.needs(out)
		}
	}
	return out
}

// holds evaluates the requirement.
func (r rich) holds(met func(rpm.Dependency) bool) bool {
	holds := func(i int) bool { return i >= len(r.operands) || r.operands[i].holds(met) }
	choose := func(condition bool) bool {
		if condition {
			return holds(0)
		}
		return holds(2)
	}
	switch r.operator {
	case "":
		return r.one.Name == "" || met(r.one)
	case "or":
		return slices.ContainsFunc(r.operands, func(o rich) bool { return o.holds(met) })
	case "if":
		return choose(holds(1))
	case "unless":
		return choose(!holds(1))
	case "without":
		return holds(0) && !(len(r.operands) > 1 && holds(1))
	}
	return !slices.ContainsFunc(r.operands, func(o rich) bool { return !o.holds(met) })
}

// A richParser reads from its text.
type richParser struct{ rest string }

func (p *richParser) space() { p.rest = strings.TrimLeft(p.rest, " \t") }

// group reads from one parenthesis to its counterpart.
func (p *richParser) group(depth int) rich {
	p.space()
	p.rest = strings.TrimPrefix(p.rest, "(")
	var r rich
	for depth < maxRichDepth {
		p.space()
		switch {
		case p.rest == "":
			return r.simple()
		case p.rest[0] == ')':
			p.rest = p.rest[1:]
			return r.simple()
		case p.rest[0] == '(':
			r.operands = append(r.operands, p.group(depth+1))
			continue
		}
		switch word := p.word(); word {
		case "and", "or", "with", "without", "if", "unless":
			r.operator = word
		case "else":
		default:
			r.operands = append(r.operands, rich{one: p.operand(word)})
		}
	}
	p.rest = "" // nobody nests so deep
	return rich{}
}

// simple takes a group of one operand for that operand.
func (r rich) simple() rich {
	switch {
	case len(r.operands) == 0:
		return rich{}
	case len(r.operands) == 1:
		return r.operands[0]
	case r.operator == "":
		r.operator = "and"
	}
	return r
}

// word reads up to a space or a parenthesis that the word did not open:
// names such as "libc.so.6(GLIBC_2.3)(64bit)" have some of their own.
func (p *richParser) word() string {
	open := 0
	for i, c := range p.rest {
		switch {
		case c == '(':
			open++
		case c == ')':
			open--
		}
		if open < 0 || (c == ' ' || c == '\t') && open == 0 {
			word := p.rest[:i]
			p.rest = p.rest[i:]
			return word
		}
	}
	word := p.rest
	p.rest = ""
	return word
}

// operand reads the bound of a name's version, if there is one.
func (p *richParser) operand(name string) rpm.Dependency {
	d := rpm.Dependency{Name: name}
	before := p.rest
	p.space()
	flags, err := rpm.ParseFlags(p.word())
	if err != nil || flags == 0 {
		p.rest = before
		return d
	}
	p.space()
	d.Flags, d.EVR = flags, p.word()
	return d
}
