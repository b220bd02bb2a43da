# METADATA
# title: Violations
# description: Each violation names the object, the field and the remedy.
package refeed.lib.violations

# METADATA
# title: A violation of a rule
# description: >
#   `rule` is the rule's name, `object` is the object's ID (lib.objects.id or a Terraform address), and `field` is
#   the path in the object. `message` continues the sentence: what is wrong, why it matters and what to do.
violation(rule, object, field, message) := {
	"msg": sprintf("%s: %s %s [%s]", [object, field, message, rule]),
	"rule": rule,
	"object": object,
	"field": field,
}
