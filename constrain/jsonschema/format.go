package jsonschema

import (
	"fmt"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/expr"
	"github.com/rwkv-gpu/rwkv-gpu/constrain/regex"
)

// formats are patterns of whole strings, in Go's syntax. {name} stands for a pattern of parts, or for that of another format.
var formats = map[string]string{
	// RFC 3339: full-date, full-time, date-time, and appendix A.
	"date":      `{date}`,
	"time":      `(?:{clock}{zone}|{leap})`,
	"date-time": `{date}[Tt](?:{clock}{zone}|{leap})`,
	"duration": `P(?:[0-9]+W|` +
		`(?:[0-9]+D|[0-9]+M(?:[0-9]+D)?|[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?)(?:{hours})?|{hours})`,
	// RFC 5321, Mailbox.
	"email": `(?:[{atom}]+(?:\.[{atom}]+)*|"(?:[ !#-\[\]-~]|\\[ -~])*")@(?:{host}|\[(?:{ipv4}|IPv6:{ipv6})\])`,
	// RFC 1123, without A-labels.
	"hostname": `{host}`,
	// RFC 2673, section 3.2, and RFC 4291, section 2.2.
	"ipv4": `{ipv4}`,
	"ipv6": `{ipv6}`,
	// RFC 4122.
	"uuid": `[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}`,
	// RFC 3986.
	"uri":           `[A-Za-z][A-Za-z0-9+.-]*:(?:{net}|{path})(?:\?{query})?(?:#{query})?`,
	"uri-reference": `(?:[A-Za-z][A-Za-z0-9+.-]*:(?:{net}|{path})|{net}|{relative})(?:\?{query})?(?:#{query})?`,
	// RFC 6901, and draft-handrews-relative-json-pointer-01.
	"json-pointer":          `(?:/(?:[^~/]|~[01])*)*`,
	"relative-json-pointer": `(?:0|[1-9][0-9]*)(?:#|(?:/(?:[^~/]|~[01])*)*)`,
	// RFC 6570.
	"uri-template": `(?:{literal}|%[0-9A-Fa-f]{2}|\{[+#./;?&]?{variable}(?:,{variable})*\})*`,
}

// parts are patterns that formats have in common.
var parts = map[string]string{
	"date": `(?:{year}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|` +
		`(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|` +
		`(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)`,
	"year":  `[0-9]{4}`,
	"clock": `(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?`,
	"zone":  `(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])`,
	"hours": `T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)`,
	"atom":  "A-Za-z0-9!#$%&'*+/=?^_`{|}~-",
	"ipv4":  `(?:{octet}\.){3}{octet}`,
	"octet": `(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])`,
	"host":  `{label}(?:\.{label})*`,
	// At most 63 characters, the third and fourth not both a hyphen: whether an A-label is one takes the tables of Unicode.
	"label": `{alnum}(?:[A-Za-z0-9-]{0,2}{alnum}|[A-Za-z0-9-](?:{alnum}[A-Za-z0-9-]|-{alnum})[A-Za-z0-9-]{0,58}{alnum})?`,
	"alnum": `[A-Za-z0-9]`,

	"net": `//(?:(?:[{unreserved}{sub}:]|{percent})*@)?(?:\[(?:{ipv6}|` +
		`[vV][0-9A-Fa-f]+\.[{unreserved}{sub}:]+)\]|(?:[{unreserved}{sub}]|{percent})*)(?::[0-9]*)?(?:/{char}*)*`,
	"path":     `(?:/(?:{char}+(?:/{char}*)*)?|{char}+(?:/{char}*)*)?`,
	"relative": `(?:/(?:{char}+(?:/{char}*)*)?|(?:[{unreserved}{sub}@]|{percent})+(?:/{char}*)*)?`,
	"query":    `(?:{char}|[/?])*`,
	"char":     `(?:[{unreserved}{sub}:@]|{percent})`,
	"percent":  `%[0-9A-Fa-f]{2}`, "unreserved": `A-Za-z0-9._~\-`, "sub": `!$&'()*+,;=`,

	"literal":  "[!#$&-;=?-\\[\\]_a-z~\\x{A0}-\\x{D7FF}\\x{E000}-\\x{10FFFF}]",
	"variable": `{varname}(?::[1-9][0-9]{0,3}|\*)?`,
	"varname":  `(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})(?:\.?(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2}))*`,
}

func init() {
	parts["ipv6"] = ipv6()
}

// ipv6 returns the pattern of IPv6 addresses, by how many groups stand before and behind "::".
func ipv6() string {
	const group = `[0-9A-Fa-f]{1,4}`
	last := `(?:` + group + `:` + group + `|{ipv4})` // two groups or an address of IPv4
	list := []string{`(?:` + group + `:){6}` + last}
	for before := range 8 {
		head := `::`
		if before > 0 {
			head = fmt.Sprintf(`%s(?::%s){%d}::`, group, group, before-1)
		}
		room := 7 - before // groups that may stand behind
		tails := []string{fmt.Sprintf(`(?:%s(?::%s){0,%d})?`, group, group, max(room-1, 0))}
		if room == 0 {
			tails[0] = ``
		}
		if room >= 2 {
			tails = append(tails, fmt.Sprintf(`(?:%s:){0,%d}{ipv4}`, group, room-2))
		}
		for _, tail := range tails {
			list = append(list, head+tail)
		}
	}
	return `(?:` + strings.Join(list, `|`) + `)`
}

// expand puts the patterns of parts where their names stand.
func expand(pattern string) string {
	for name, part := range parts {
		if strings.Contains(pattern, "{"+name+"}") {
			return expand(strings.ReplaceAll(pattern, "{"+name+"}", part))
		}
	}
	return pattern
}

// format returns the insides of strings that have the format v.
func (c *compiler) format(v *value) (expr.ID, error) {
	if v.kind != isString {
		return expr.Empty, &Error{Pointer: v.at, Want: "the name of a format", Got: v.describe()}
	}
	pattern, ok := formats[v.text]
	if !ok {
		return expr.Empty, unsupported(v, "no such format is known")
	}
	if e, ok := c.formats[v.text]; ok {
		return e, nil
	}
	leap := strings.Contains(pattern, "{leap}")
	e, err := regex.Whole(c.p, expand(strings.ReplaceAll(pattern, "|{leap}", "")), regex.JSON)
	if err != nil {
		return expr.Empty, &Error{Pointer: v.at, Want: "a format", Got: err.Error()}
	}
	if leap {
		before := expr.Epsilon
		if v.text == "date-time" {
			if before, err = regex.Whole(c.p, expand(`{date}[Tt]`), regex.JSON); err != nil {
				return expr.Empty, &Error{Pointer: v.at, Want: "a format", Got: err.Error()}
			}
		}
		e = c.p.Or(e, c.p.Concat(before, c.leapSecond()))
	}
	if v.text == "hostname" {
		e = c.p.And(e, c.p.Repeat(c.char, 1, 253))
	}
	c.formats[v.text] = e
	return e, nil
}

// leapSecond matches times with a second 60, which is the last of a day in UTC, in time zones that are quarters of an hour off.
func (c *compiler) leapSecond() expr.ID {
	p := c.p
	fraction, err := regex.Whole(p, `:60(?:\.[0-9]+)?`, regex.JSON)
	if err != nil {
		return expr.Empty
	}
	list := []expr.ID{p.Concat(p.Literal("23:59"), fraction, p.Bytes(expr.Of("Zz")))}
	for minutes := 0; minutes < 24*60; minutes += 15 {
		zone := fmt.Sprintf("%02d:%02d", minutes/60, minutes%60)
		for sign, ahead := range map[string]int{"+": minutes, "-": -minutes} {
			local := (24*60 - 1 + ahead + 24*60) % (24 * 60)
			list = append(list, p.Concat(p.Literal(fmt.Sprintf("%02d:%02d", local/60, local%60)), fraction, p.Literal(sign+zone)))
		}
	}
	return p.Or(list...)
}
