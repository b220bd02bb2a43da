# METADATA
# title: Terraform plans
# description: Parses the output of `terraform show -json PLAN`.
package refeed.lib.plans

# METADATA
# title: Resources after the plan is applied
# description: >
#   The created, changed and unchanged resources, as {object, type, after}. `after` does not contain values that
#   are known only after apply; rules treat them as not set.
resources contains {"object": change.address, "type": change.type, "after": change.change.after} if {
	some change in input.resource_changes
	object.get(change, "mode", "managed") == "managed"
	is_object(change.change.after)
}
