# METADATA
# title: Texts with Argo expressions
# description: >
#   A policy cannot evaluate an expression, but it can list all outcomes of a conditional between literals:
#   {{= a == 'b' ? 'one' : c == 'd' ? 'two' : 'three' }}. Rules reject all other expressions.
package refeed.lib.texts

quoted := `'((?:[^'\\]|\\.)*)'`

choice := `^\{\{=\s*(?:[A-Za-z0-9_.]+ == Q \? Q : )*Q\s*\}\}$`

# METADATA
# title: All possible values of a text
# description: Undefined if they are not known before the run.
outcomes(text) := [text] if not contains(text, "{{")

outcomes(text) := chosen if {
	regex.match(choice, regex.replace(text, quoted, "Q"))
	found := [unescaped(match[1]) | some match in regex.find_all_string_submatch_n(quoted, text, -1)]
	chosen := [each | some index, each in found; is_outcome(index, count(found))]
}

# Literals at even indices are operands of conditions, except the last literal, which is an outcome.
is_outcome(index, _) if index % 2 == 1

is_outcome(index, total) if index == total - 1

unescaped(text) := strings.replace_n({`\\`: `\`, `\'`: `'`}, text)
