# METADATA
# title: Refusals
# description: Each names the object, the field and what to do, so that nobody has to look for them.
package refeed.lib.refusals

# METADATA
# title: What a rule says
# description: >
#   `rule` is the rule's name, `object` says which one it is (lib.objects.id, or a Terraform address),
#   `field` is the path in it, and `says` goes on: what is wrong, why it matters, what to do.
refusal(rule, object, field, says) := {
	"msg": sprintf("%s: %s %s [%s]", [object, field, says, rule]),
	"rule": rule,
	"object": object,
	"field": field,
}
