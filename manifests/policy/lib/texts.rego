# METADATA
# title: Texts that Argo evaluates
# description: >
#   A policy cannot evaluate an expression, but it can tell all outcomes of one that only chooses:
#   {{= a == 'b' ? 'one' : c == 'd' ? 'two' : 'three' }}. What it cannot read, rules refuse.
package refeed.lib.texts

quoted := `'((?:[^'\\]|\\.)*)'`

choice := `^\{\{=\s*(?:[A-Za-z0-9_.]+ == Q \? Q : )*Q\s*\}\}$`

# METADATA
# title: All that a text may become
# description: Undefined where that cannot be told before the run.
outcomes(text) := [text] if not contains(text, "{{")

outcomes(text) := chosen if {
	regex.match(choice, regex.replace(text, quoted, "Q"))
	found := [unescaped(match[1]) | some match in regex.find_all_string_submatch_n(quoted, text, -1)]
	chosen := [each | some index, each in found; is_outcome(index, count(found))]
}

# Texts that conditions compare with lie at even places, but for the last one of all.
is_outcome(index, _) if index % 2 == 1

is_outcome(index, total) if index == total - 1

unescaped(text) := strings.replace_n({`\\`: `\`, `\'`: `'`}, text)
